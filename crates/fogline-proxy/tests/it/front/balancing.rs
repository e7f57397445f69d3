//! Who gets the next request, and who gets none for a while.

use fogline_core::spec::TrafficSpec;
use hyper::StatusCode;

use super::stage::{Replica, Stage, text};

#[tokio::test]
async fn all_replicas_get_their_share() {
    let mut replicas = Vec::new();
    for seed in 1..=3 {
        replicas.push(Replica::saying(seed, "x").await);
    }
    let stage = Stage::serving(TrafficSpec::default(), &replicas.iter().collect::<Vec<_>>());
    let mut client = stage.client().await;
    for _ in 0..90 {
        client.get("/").await;
    }
    for replica in &replicas {
        assert!(replica.requests() >= 10, "{} of 90", replica.requests());
    }
}

#[tokio::test]
async fn a_replica_that_keeps_failing_is_ejected_and_the_last_one_never() {
    let bad = Replica::start(1, |_| async {
        let mut answer = text("broken");
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        answer
    })
    .await;
    let good = Replica::saying(2, "fine").await;
    let stage = Stage::serving(TrafficSpec::default(), &[&bad, &good]);
    let mut client = stage.client().await;
    for _ in 0..100 {
        client.get("/").await;
    }
    assert_eq!(bad.requests(), 5, "after five failures in a row it gets nothing");
    let traffic = stage.traffic();
    let of_bad = traffic.replicas.iter().find(|replica| replica.replica_id == bad.id).unwrap();
    assert!(of_bad.ejected && of_bad.failed == 5 && traffic.failed == 5);

    let alone = Stage::serving(TrafficSpec::default(), &[&bad]);
    for _ in 0..10 {
        assert_eq!(alone.get("/").await.body, "broken", "there is no other");
    }
    stage.ready(&[&bad]);
    assert!(stage.traffic().replicas[0].ejected);
    assert_eq!(stage.get("/").await.body, "broken", "there is no other any more");
}

/// Otherwise whoever knows a request that goes wrong could take replicas away from others.
#[tokio::test]
async fn what_goes_wrong_with_a_request_is_not_held_against_the_replica() {
    let replicas = [1, 2].map(|seed| {
        Replica::start(seed, |_| async {
            let mut answer = text("wrong");
            *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            answer
        })
    });
    let [one, another] = replicas;
    let (one, another) = (one.await, another.await);
    let stage = Stage::serving(TrafficSpec::default(), &[&one, &another]);
    let mut client = stage.client().await;
    for _ in 0..40 {
        assert_eq!(client.get("/").await.status, 500);
    }
    let traffic = stage.traffic();
    assert_eq!((traffic.failed, traffic.replicas.len()), (40, 2));
    assert!(traffic.replicas.iter().all(|replica| !replica.ejected), "{:?}", traffic.replicas);
}

#[tokio::test]
async fn a_new_replica_is_brought_up_slowly_unless_it_is_alone() {
    let (old, new) = (Replica::saying(1, "old").await, Replica::saying(2, "new").await);
    let stage = Stage::serving(TrafficSpec { slow_start_s: 3_600, ..TrafficSpec::default() }, &[&old]);
    stage.ready(&[&old, &new]);
    let mut client = stage.client().await;
    for _ in 0..300 {
        client.get("/").await;
    }
    assert!((1..100).contains(&new.requests()), "{} of 300", new.requests());
    stage.ready(&[&new]);
    assert_eq!(stage.get("/").await.body, "new");
}
