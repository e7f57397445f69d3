//! Requests that wait for a sleeping deployment wake it, once and within bounds.

use std::time::Duration;

use fogline_api::protocol::proxy::FromProxy;
use fogline_core::id::DeploymentId;
use serde_json::json;

use super::play::{Proxy, deploy, sleep};
use crate::rig::Rig;
use crate::scaling::world::{World, quick};

async fn asleep(rig: &Rig, proxy: &mut Proxy, name: &str) -> DeploymentId {
    let id = deploy(rig, name, 1, json!({})).await;
    sleep(rig, id).await;
    proxy.until("sleep", |proxy| proxy.table.get(&id).is_some_and(|service| service.asleep)).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_up_asks_for_a_replica_once_and_leaves_its_record() {
    let world = World::new().await;
    let mut proxy = Proxy::attach(&world.rig, "edge").await;
    let id = asleep(&world.rig, &mut proxy, "shop").await;
    for held in [1, 7] {
        proxy.say(FromProxy::Wake { deployment_id: id, held }).await;
    }
    proxy.until("it is awake", |proxy| !proxy.table[&id].asleep).await;
    proxy.say(FromProxy::Wake { deployment_id: id, held: 3 }).await;
    proxy.is_heard().await;
    assert_eq!(world.replicas(id).await, 1);
    let rows: Vec<_> =
        world.decisions(id).await.into_iter().filter(|decision| decision["trigger"] == "proxy").collect();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((&row["current"], &row["replicas"], &row["status"]), (&json!(0), &json!(1), &json!("completed")));
    assert!(proxy.refused.is_empty(), "{:?}", proxy.refused);
    let text = fogline_server::http::router(std::sync::Arc::clone(world.rig.shared()));
    let text = crate::http::api::call(text, "GET", "/metrics", None, &[], "").await.text;
    assert!(text.contains("fogline_wakes_total{outcome=\"woken\"} 1\n"), "{text}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_up_that_is_not_to_be_is_refused_with_why() {
    let change = |config: &mut fogline_server::ServerConfig| {
        quick(config);
        config.settings.wakes_per_minute = 1;
    };
    let world = World::over(Rig::with(tempfile::tempdir().expect("a directory"), change).await).await;
    world.rig.nodes(2).await;
    let mut proxy = Proxy::attach(&world.rig, "edge").await;
    let first = asleep(&world.rig, &mut proxy, "first").await;
    let second = asleep(&world.rig, &mut proxy, "second").await;
    proxy.say(FromProxy::Wake { deployment_id: first, held: 1 }).await;
    proxy.until("it is awake", |proxy| !proxy.table[&first].asleep).await;
    proxy.say(FromProxy::Wake { deployment_id: second, held: 1 }).await;
    proxy.until("a refusal", |proxy| !proxy.refused.is_empty()).await;
    let (id, reason, retry_after) = proxy.refused.remove(0);
    assert_eq!(id, second);
    assert_eq!(reason, "it was woken too often", "and nothing of the account");
    assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_secs(60), "{retry_after:?}");
    assert_eq!(world.replicas(second).await, 0);

    let stopped = fogline_core::command::Command::StopDeployment { deployment_id: second };
    world.rig.submit(stopped).await.expect("stopped");
    proxy.say(FromProxy::Wake { deployment_id: second, held: 1 }).await;
    proxy.until("a refusal", |proxy| !proxy.refused.is_empty()).await;
    assert_eq!(proxy.refused[0].1, "it is stopped");
    world.stop().await;
}
