//! What no honest proxy would say: bounded, and others go on.

use fogline_api::protocol::proxy::{FromProxy, ProxyMessage};
use fogline_core::id::{DeploymentId, IdSource, ReplicaId};
use fogline_core::time::Timestamp;
use fogline_core::traffic::TrafficReport;
use serde_json::json;
use tonic::Code;

use super::play::{Proxy, deploy, traffic};
use crate::scaling::world::World;

fn unknown(count: usize) -> impl Iterator<Item = DeploymentId> {
    let mut ids = IdSource::new(7);
    (0..count).map(move |_| ids.next(Timestamp::from_micros(1)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_what_is_not_there_is_heard_and_forgotten() {
    let world = World::new().await;
    let id = deploy(&world.rig, "shop", 1, json!({})).await;
    let mut proxy = Proxy::attach(&world.rig, "edge").await;
    let many: Vec<_> = unknown(50_000).map(|id| traffic(id, 1, 1)).collect();
    for _ in 0..3 {
        proxy.report(&many).await;
    }
    proxy.is_heard().await;
    let listed = world.get("/api/v1/proxies").await;
    assert_eq!(listed["items"][0]["open"], 0, "{listed}");
    proxy.report(&[traffic(id, 9, 4)]).await;
    proxy.is_heard().await;
    assert_eq!(world.get("/api/v1/proxies").await["items"][0]["open"], 4);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_makes_no_sense_ends_the_session_and_no_other() {
    let world = World::new().await;
    let mut ids = IdSource::new(7);
    let replicas: Vec<ReplicaId> = (0..100_001).map(|_| ids.next(Timestamp::from_micros(1))).collect();
    let report = |let_go| FromProxy::Report(TrafficReport { services: Vec::new(), let_go });
    // Two dozen megabytes.
    let large_report: Vec<_> = unknown(300_000).map(|id| traffic(id, 1, 1)).collect();
    let mut other = Proxy::attach(&world.rig, "other").await;
    let lets_go = Proxy::attach(&world.rig, "edge").await;
    lets_go.say(report(replicas)).await;
    assert_eq!(lets_go.end().await.code(), Code::InvalidArgument);

    let large = Proxy::attach(&world.rig, "edge").await;
    large.report(&large_report).await;
    assert_eq!(large.end().await.code(), Code::OutOfRange);

    let senseless = Proxy::attach(&world.rig, "edge").await;
    senseless.say_raw(ProxyMessage { message: None }).await;
    assert_eq!(senseless.end().await.code(), Code::InvalidArgument);

    other.is_heard().await;
    world.stop().await;
}
