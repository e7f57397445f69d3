//! Requests that no replica can take yet: held in order, woken for, and told why in the end.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fogline_api::protocol::proxy::RoutesUpdate;
use fogline_core::spec::{HealthCheck, HealthSpec, HoldSpec, PlaceholderSpec, TrafficSpec};
use fogline_core::traffic::UpstreamState;
use fogline_proxy::{Event, FrontLimits};

use super::stage::{DEADLINE, Replica, Stage, request, text};

fn asleep(traffic: TrafficSpec) -> Stage {
    let stage = Stage::new(traffic);
    stage.change(|service| service.asleep = true);
    stage
}

fn hold(timeout_s: u32) -> TrafficSpec {
    TrafficSpec { hold: HoldSpec { timeout_s, ..HoldSpec::default() }, ..TrafficSpec::default() }
}

#[tokio::test]
async fn requests_for_a_sleeping_deployment_wake_it_once_and_go_on_in_order() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    let replica = Replica::start(1, move |request| {
        seen.lock().unwrap().push(request.uri().path().to_owned());
        async { text("awake") }
    })
    .await;
    let mut stage = asleep(TrafficSpec { max_open_per_replica: 1, ..TrafficSpec::default() });
    let mut waiting = Vec::new();
    for number in 0..10 {
        waiting.push(stage.get_in_background(format!("/{number}")).await);
        stage.held(number + 1).await;
    }
    let event = tokio::time::timeout(DEADLINE, stage.events.recv()).await.unwrap().unwrap();
    let deployment_id = stage.service.lock().unwrap().deployment_id;
    assert!(matches!(event, Event::Wake { deployment_id: id, held: 1.. } if id == deployment_id));
    stage.ready(&[&replica]);
    for got in waiting {
        assert_eq!(got.await.unwrap().body, "awake");
    }
    let expected: Vec<_> = (0..10).map(|number| format!("/{number}")).collect();
    assert_eq!(*order.lock().unwrap(), expected);
    let traffic = stage.traffic();
    assert_eq!((traffic.begun, traffic.ended, traffic.refused, traffic.held), (10, 10, 0, 0));
    assert_eq!(traffic.cold_starts.iter().sum::<u64>(), 10);
    assert!(stage.get("/").await.body == "awake" && stage.traffic().cold_starts.iter().sum::<u64>() == 10);
}

#[tokio::test]
async fn a_starting_replica_is_asked_directly_while_requests_wait() {
    let replica = Replica::saying(1, "up").await;
    let stage = asleep(TrafficSpec::default());
    let got = stage.get_in_background("/").await;
    stage.held(1).await;
    let health = HealthSpec { check: HealthCheck::Http, path: "/ready".to_owned(), ..HealthSpec::default() };
    stage.change(|service| {
        service.asleep = false;
        service.readiness = Some(health);
        service.upstreams = vec![replica.as_upstream(UpstreamState::Starting)];
    });
    assert_eq!(got.await.unwrap().body, "up", "though no table ever said that it is ready");
}

#[tokio::test]
async fn who_has_waited_too_long_is_told_why() {
    let stage = asleep(hold(1));
    stage.change(|service| service.trouble = Some("the image cannot be pulled".into()));
    let got = stage.get("/").await;
    assert_eq!((got.status, got.headers["content-type"].to_str().unwrap()), (503, "application/problem+json"));
    assert!(got.headers.contains_key("retry-after"));
    assert!(got.body.contains("the image cannot be pulled"), "{}", got.body);
    assert_eq!((stage.traffic().refused, stage.traffic().failed), (1, 1));
}

#[tokio::test]
async fn a_refused_wake_up_is_told_at_once_and_to_those_who_come_soon_after() {
    let stage = asleep(TrafficSpec::default());
    let got = stage.get_in_background("/").await;
    stage.held(1).await;
    let id = stage.service.lock().unwrap().deployment_id;
    stage.front.wake_refused(id, "there is no room", Duration::from_secs(30));
    let got = got.await.unwrap();
    assert_eq!((got.status, got.headers["retry-after"].to_str().unwrap()), (503, "30"));
    assert!(got.body.contains("there is no room"));
    assert!(stage.get("/").await.body.contains("there is no room"));
}

#[tokio::test]
async fn a_refusal_that_names_no_time_counts_for_as_long_as_wake_ups_are_apart() {
    let mut stage = asleep(TrafficSpec::default());
    let got = stage.get_in_background("/").await;
    stage.held(1).await;
    assert!(matches!(stage.events.recv().await, Some(Event::Wake { .. })));
    let id = stage.service.lock().unwrap().deployment_id;
    stage.front.wake_refused(id, "there is no room", Duration::ZERO);
    assert_eq!(got.await.unwrap().headers["retry-after"].to_str().unwrap(), "2");
    assert!(stage.get("/").await.body.contains("there is no room"));
    assert!(stage.events.try_recv().is_err(), "it is not asked for again at once");
}

#[tokio::test]
async fn no_more_wait_than_may_for_a_service_or_for_a_user() {
    let hold = HoldSpec { max_requests: 1, ..HoldSpec::default() };
    let of_service = asleep(TrafficSpec { hold, ..TrafficSpec::default() });
    let limits = FrontLimits { held_per_owner: 1, ..FrontLimits::default() };
    let of_user = Stage::with_limits(TrafficSpec::default(), limits);
    of_user.change(|service| service.asleep = true);
    for stage in [of_service, of_user] {
        let _first = stage.get_in_background("/").await;
        stage.held(1).await;
        let second = stage.get("/").await;
        assert_eq!(second.status, 503);
        assert!(second.body.contains("too many requests wait"), "{}", second.body);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_line() {
    let stage = asleep(TrafficSpec::default());
    let first = stage.get_in_background("/gone").await;
    stage.held(1).await;
    first.abort();
    stage.held(0).await;
    let replica = Replica::saying(1, "here").await;
    stage.ready(&[&replica]);
    assert_eq!(stage.get("/").await.body, "here");
    assert_eq!(replica.requests(), 1);
}

#[tokio::test]
async fn more_than_a_replica_takes_at_a_time_wait_for_it() {
    let (replica, gate) = Replica::gated(1, "done").await;
    let stage = Stage::serving(TrafficSpec { max_open_per_replica: 2, ..TrafficSpec::default() }, &[&replica]);
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(stage.get_in_background("/").await);
    }
    stage.held(3).await;
    assert_eq!((stage.traffic().open, replica.requests.load(Ordering::SeqCst) <= 2), (2, true));
    gate.add_permits(5);
    for got in all {
        assert_eq!(got.await.unwrap().body, "done");
    }
    assert_eq!(stage.traffic().cold_starts.iter().sum::<u64>(), 0, "it was never at zero");
}

#[tokio::test]
async fn a_browser_is_shown_a_placeholder_and_wakes_it_all_the_same() {
    let placeholder: PlaceholderSpec = serde_json::from_str("{}").unwrap();
    let hold = HoldSpec { placeholder: Some(placeholder), ..HoldSpec::default() };
    let mut stage = asleep(TrafficSpec { hold, ..TrafficSpec::default() });
    let mut asked = request("GET", "/", "");
    asked.headers_mut().insert("accept", "text/html,*/*".parse().unwrap());
    let got = stage.send(asked).await;
    assert_eq!((got.status, got.headers["content-type"].to_str().unwrap()), (503, "text/html; charset=utf-8"));
    assert!(got.body.contains("refresh"));
    let event = tokio::time::timeout(DEADLINE, stage.events.recv()).await.unwrap().unwrap();
    assert!(matches!(event, Event::Wake { held: 0, .. }));
}

#[tokio::test]
async fn a_deployment_that_does_not_serve_refuses_at_once() {
    let stage = Stage::new(TrafficSpec::default());
    stage.change(|service| service.serving = false);
    let got = stage.get("/").await;
    assert!(got.status == 503 && got.body.contains("does not serve"), "{}", got.body);
}

#[tokio::test]
async fn before_the_first_table_nobody_is_told_that_there_is_nothing() {
    let stage = Stage::new(TrafficSpec::default());
    let got = stage.get("/").await;
    assert_eq!((got.status, got.headers["retry-after"].to_str().unwrap()), (503, "1"));
    assert!(got.body.contains("has not heard from a server yet"), "{}", got.body);
    stage.front.apply(RoutesUpdate { whole: true, ..RoutesUpdate::default() });
    assert_eq!(stage.get("/").await.status, 404);
}

#[tokio::test]
async fn only_what_waits_for_the_first_replica_after_zero_waits_for_a_cold_start() {
    let stage = asleep(TrafficSpec::default());
    let replica = Replica::saying(1, "up").await;
    stage.ready(&[&replica]);
    stage.change(|service| service.upstreams.clear());
    let got = stage.get_in_background("/").await;
    stage.held(1).await;
    stage.ready(&[&replica]);
    assert_eq!(got.await.unwrap().body, "up");
    assert_eq!(stage.traffic().cold_starts.iter().sum::<u64>(), 0, "its replica had gone, it had not slept");
}
