//! What holds a replica and cannot be made out: never doubled, never lost, and it can be ended.

use std::fs;

use fogline_agent::driver::{AdoptedState, DriverEvent, Signal, StartError};

use super::harness::{Bench, is_alive, within};

/// The one replica of the bench, which must be held.
async fn adopt_held(bench: &Bench) -> (u32, String) {
    let mut adopted = within(bench.driver().adopt()).await;
    let one = adopted.pop().expect("it is not passed over");
    assert_eq!(adopted, vec![]);
    let AdoptedState::Held { why } = one.state else { panic!("{one:?} is not held") };
    (one.order.run, why)
}

#[tokio::test]
async fn a_shim_with_a_damaged_order_keeps_its_replica_until_it_ends() {
    let mut bench = Bench::new();
    let order = bench.script("echo ready; exec sleep 1000");
    let pid = bench.run(&order).await;
    bench.until_said(&order, "ready").await;
    fs::write(bench.dir(&order).join("order.json"), "{\"start\":").expect("written");
    bench.new_agent();
    let (run, why) = adopt_held(&bench).await;
    assert_eq!(run, 1);
    assert!(why.contains("order.json is damaged"), "{why}");

    // Whatever is asked for, there is no second one, and the first is not lost.
    let mut again = order.clone();
    again.run = 2;
    let error = bench.start(&again).await.expect_err("it runs");
    assert_eq!(error, StartError::StillRunning { run: 1 });
    assert!(error.to_string().contains("a process of an earlier run still holds this replica"), "{error}");
    bench.driver().forget(order.replica_id);
    assert!(bench.dir(&order).exists() && is_alive(pid));
    bench.no_event();

    bench.signal(&order, Signal::Terminate).await;
    assert_eq!(bench.exit(&order).await.code, None);
    bench.nothing_left();
    bench.run(&again).await;
    assert_eq!(bench.kill(&again).await.code, Some(137));
    bench.no_event();
    bench.nothing_left();
}

#[tokio::test]
async fn one_that_is_held_can_be_killed_with_all_that_it_started() {
    let mut bench = Bench::new();
    let order = bench.script("trap '' TERM; setsid sleep 1000 & echo ready; while :; do sleep 1000; done");
    bench.run(&order).await;
    bench.until_said(&order, "ready").await;
    fs::write(bench.dir(&order).join("order.json"), "").expect("written");
    fs::write(bench.dir(&order).join("state.json"), "").expect("written");
    bench.new_agent();
    adopt_held(&bench).await;
    bench.signal(&order, Signal::Kill).await;
    let DriverEvent::Exited { replica_id, .. } = bench.event().await else { panic!("it ends") };
    assert_eq!(replica_id, order.replica_id);
    bench.nothing_left();
}

/// As a shim that takes longer to start than anybody waits.
#[tokio::test]
async fn one_that_can_be_made_out_later_is_adopted_then() {
    let mut bench = Bench::new();
    let order = bench.script("exec sleep 1000");
    let pid = bench.run(&order).await;
    bench.end_agent();
    let (state, aside) = (bench.dir(&order).join("state.json"), bench.dir(&order).join("aside"));
    fs::rename(&state, &aside).expect("renamed");
    bench.new_agent();
    let (run, why) = adopt_held(&bench).await;
    assert!(run == 1 && why.contains("start is not over"), "{why}");
    fs::rename(&aside, &state).expect("renamed");
    let DriverEvent::Adopted(adopted) = bench.event().await else { panic!("it is alive") };
    assert_eq!((adopted.order, adopted.container_id), (order.clone(), Some(pid.to_string())));
    assert_eq!(adopted.state, AdoptedState::Alive);
    assert_eq!(bench.kill(&order).await.code, Some(137));
    bench.nothing_left();
}

/// An agent that does not know of it finds out by the lock.
#[tokio::test]
async fn a_start_beside_one_that_runs_finds_that_one() {
    let mut bench = Bench::new();
    let order = bench.script("exec sleep 1000");
    let pid = bench.run(&order).await;
    bench.new_agent();
    let mut again = order.clone();
    again.run = 2;
    assert_eq!(bench.start(&again).await, Err(StartError::StillRunning { run: 1 }));
    let DriverEvent::Adopted(adopted) = bench.event().await else { panic!("it is alive") };
    assert_eq!((adopted.order.run, adopted.container_id), (1, Some(pid.to_string())));
    bench.kill(&order).await;
    bench.run(&again).await;
    bench.kill(&again).await;
    bench.no_event();
    bench.nothing_left();
}
