//! A replica that leaves gets nothing new, keeps what it has, and is let go of when that has ended.

use fogline_api::protocol::proxy::RoutesUpdate;
use fogline_core::spec::TrafficSpec;
use fogline_core::traffic::UpstreamState;
use fogline_proxy::Event;
use tokio::task::JoinHandle;

use super::stage::{DEADLINE, Got, Replica, Stage, until};

/// A request that the replica has and has not answered.
async fn asked(stage: &Stage, replica: &Replica) -> JoinHandle<Got> {
    let open = stage.get_in_background("/").await;
    until("the request to arrive", || (replica.requests() == 1).then_some(())).await;
    open
}

async fn is_let_go_of(stage: &mut Stage, replica: &Replica) {
    let event = tokio::time::timeout(DEADLINE, stage.events.recv()).await;
    assert_eq!(event.expect("an event"), Some(Event::LetGo));
    assert_eq!(stage.front.report(false).let_go, [replica.id]);
}

#[tokio::test]
async fn a_leaving_replica_finishes_and_is_let_go_of() {
    let (old, gate) = Replica::gated(1, "old").await;
    let new = Replica::saying(2, "new").await;
    let mut stage = Stage::serving(TrafficSpec::default(), &[&old]);
    let open = asked(&stage, &old).await;
    stage.change(|service| {
        service.upstreams = vec![old.as_upstream(UpstreamState::Leaving), new.as_upstream(UpstreamState::Ready)];
    });
    for _ in 0..10 {
        assert_eq!(stage.get("/").await.body, "new");
    }
    assert!(stage.front.report(true).let_go.is_empty(), "something is open with it");
    gate.add_permits(1);
    assert_eq!(open.await.unwrap().body, "old");
    is_let_go_of(&mut stage, &old).await;
}

#[tokio::test]
async fn a_leaving_replica_without_anything_open_is_let_go_of_at_once() {
    let replica = Replica::saying(1, "x").await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    assert_eq!(stage.get("/").await.status, 200);
    until("the request to end", || (stage.traffic().open == 0).then_some(())).await;
    stage.change(|service| service.upstreams = vec![replica.as_upstream(UpstreamState::Leaving)]);
    assert_eq!(stage.front.report(false).let_go, [replica.id]);
}

/// A table without it, or without its whole deployment, may come between two that have it.
#[tokio::test]
async fn a_replica_that_left_the_table_and_comes_back_is_not_let_go_of_while_something_is_open_with_it() {
    let (replica, gate) = Replica::gated(1, "finished").await;
    let mut stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let open = asked(&stage, &replica).await;
    let leaves = |stage: &Stage| {
        stage.change(|service| service.upstreams = vec![replica.as_upstream(UpstreamState::Leaving)]);
        assert!(stage.front.report(true).let_go.is_empty(), "something is open with it");
    };
    stage.change(|service| service.upstreams.clear());
    leaves(&stage);
    for _ in 0..2 {
        stage.front.apply(RoutesUpdate { whole: true, ..RoutesUpdate::default() });
    }
    leaves(&stage);
    assert_eq!(stage.traffic().open, 1);
    gate.add_permits(1);
    assert_eq!(open.await.unwrap().body, "finished");
    is_let_go_of(&mut stage, &replica).await;
}

#[tokio::test]
async fn a_proxy_that_stops_finishes_what_is_open() {
    let (replica, gate) = Replica::gated(1, "finished").await;
    let mut stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let _idle = stage.client().await;
    let open = asked(&stage, &replica).await;
    stage.shutdown.cancel();
    gate.add_permits(1);
    let got = open.await.unwrap();
    assert_eq!(got.body, "finished");
    let workers = stage.workers.take().unwrap();
    tokio::time::timeout(DEADLINE, tokio::task::spawn_blocking(move || workers.wait())).await.unwrap().unwrap();
}

/// A deployment whose routes were taken away, or that is deleted, is told of until its replicas have gone.
#[tokio::test]
async fn a_deployment_without_routes_is_given_nothing_and_its_replicas_are_let_go_of() {
    let (replica, gate) = Replica::gated(1, "finished").await;
    let mut stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let open = asked(&stage, &replica).await;
    stage.change(|service| {
        service.routes = [].into();
        (service.serving, service.upstreams) = (false, vec![replica.as_upstream(UpstreamState::Leaving)]);
    });
    assert_eq!(stage.get("/").await.status, 404);
    assert!(stage.front.report(true).let_go.is_empty(), "something is open with it");
    gate.add_permits(1);
    assert_eq!(open.await.unwrap().body, "finished");
    is_let_go_of(&mut stage, &replica).await;
}
