//! Output that is read while its container should go.

use std::fs;

use fogline_agent::driver::{AdoptedState, StartOrder};
use fogline_testbed::{Request, UnixRelay};
use serde_json::Value;
use tokio_stream::StreamExt;

use super::super::contract::{Kind, Rig, play};
use super::super::harness::{until, within};

fn lists(request: &Request) -> bool {
    request.method == "GET" && request.target.contains("/containers/json")
}

/// What the engine has of a replica.
fn containers(rig: &Rig, replica: impl std::fmt::Display) -> Vec<String> {
    rig.engine().containers(&format!("fogline-{replica}"))
}

#[test]
fn what_is_read_of_dockers_is_removed_afterwards() {
    play(Kind::Docker, what_is_read_is_removed_afterwards);
}

#[test]
fn what_is_read_of_podmans_is_removed_afterwards() {
    play(Kind::Podman, what_is_read_is_removed_afterwards);
}

async fn what_is_read_is_removed_afterwards(mut rig: Rig) {
    let relay = UnixRelay::to(&rig.engine().socket());
    rig.containers.sockets = vec![relay.socket()];
    rig.new_agent().await;
    let other = rig.order(&[]);
    rig.run(&other).await;
    rig.kill(&other).await;
    let mut order = rig.order(&[]);
    rig.run(&order).await;
    // More than is read ahead of whoever consumes a stream.
    rig.ask(&order, &format!("/print?text={}&n=2000", "x".repeat(1_000))).await;
    rig.kill(&order).await;
    order.run = 2;
    rig.run(&order).await;
    rig.ask(&order, "/print?text=the-end").await;
    rig.kill(&order).await;

    let mut stream = within(rig.driver().logs(order.replica_id, 10_000, false)).await.expect("output");
    let mut said = within(stream.next()).await.expect("output").expect("read").to_vec();
    let looks = || relay.requests().iter().filter(|request| lists(request)).count();
    let before = looks();
    for replica_id in [order.replica_id, other.replica_id] {
        rig.driver().forget(replica_id);
    }
    until("the other one is removed", || containers(&rig, other.replica_id).is_empty()).await;
    // Each look waits for what the one before found to be done.
    until("it was looked through all, and again", || looks() >= before + 3).await;
    assert_eq!(containers(&rig, order.replica_id), [format!("fogline-{}-2", order.replica_id)]);
    while let Some(piece) = within(stream.next()).await {
        said.extend_from_slice(&piece.expect("read"));
    }
    let said = String::from_utf8(said).expect("text");
    assert_eq!((said.matches("the-end\n").count(), said.matches("started v1\n").count()), (1, 2));
    rig.forget(&[&order, &other]).await;
    assert!(rig.tail(&order, 10_000).await == said, "what is kept is what was read");
}

#[test]
fn a_follower_does_not_keep_the_containers_of_earlier_runs() {
    play(Kind::Docker, |mut rig: Rig| async move {
        let mut order = rig.order(&[]);
        rig.run(&order).await;
        let mut stream = within(rig.driver().logs(order.replica_id, 10_000, true)).await.expect("output");
        let mut said = String::new();
        for run in [1, 2, 3] {
            if run > 1 {
                order.run = run;
                rig.run(&order).await;
            }
            rig.ask(&order, &format!("/print?text=run-{run}")).await;
            while !said.contains(&format!("run-{run}\n")) {
                let piece = within(stream.next()).await.expect("more output").expect("read");
                said.push_str(&String::from_utf8_lossy(&piece));
            }
            let name = format!("fogline-{}-{run}", order.replica_id);
            until("those before it are gone", || containers(&rig, order.replica_id) == [name.clone()]).await;
            rig.kill(&order).await;
        }
        rig.driver().forget(order.replica_id);
        while within(stream.next()).await.is_some() {}
        rig.forget(&[&order]).await;
    });
}

/// Its run was told to be over, so that its container must not run, whoever reads what it says.
#[test]
fn a_follower_does_not_keep_a_container_running() {
    play(Kind::Docker, |mut rig: Rig| async move {
        let (order, ended) = (rig.order(&[]), rig.order(&[]));
        for order in [&order, &ended] {
            rig.run(order).await;
        }
        rig.kill(&ended).await;
        rig.end_agent();
        let path =
            |of: &StartOrder| rig.dir.path().join("containers").join(of.replica_id.to_string()).join("record.json");
        let record = |of| -> Value { serde_json::from_slice(&fs::read(path(of)).expect("read")).expect("a record") };
        let mut told = record(&order);
        told["exit"] = record(&ended)["exit"].clone();
        fs::write(path(&order), told.to_string()).expect("written");

        rig.new_agent_without_adopting();
        let mut stream = within(rig.driver().logs(order.replica_id, 10, true)).await.expect("output");
        within(stream.next()).await.expect("output").expect("read");
        let adopted = within(rig.driver().adopt()).await;
        assert!(adopted.iter().all(|one| matches!(one.state, AdoptedState::Exited(_))), "{adopted:?}");
        until("it runs no more", || rig.asked_once(&order, "/").is_none()).await;
        rig.driver().forget(order.replica_id);
        while within(stream.next()).await.is_some() {}
        rig.forget(&[&order, &ended]).await;
    });
}
