//! A replica leaves the routes before it is told to stop: which list its agent gets, and when.

use fogline_core::assignment::{Assignment, Want};
use fogline_core::command::Command;
use fogline_core::id::{DeploymentId, NodeId, ReplicaId};
use fogline_core::traffic::UpstreamState::{Leaving, Ready};
use serde_json::json;

use super::play::{Proxy, deploy, running, scale};
use crate::rig::{Agent, Rig};
use crate::scaling::world::{World, until};

/// What is wanted of a replica by a list.
fn wanted(list: &Assignment, id: ReplicaId) -> Option<Want> {
    list.replicas.iter().find(|replica| replica.replica_id == id).map(|replica| replica.want)
}

async fn wanted_now(rig: &Rig, node: NodeId, id: ReplicaId) -> Option<Want> {
    let list = rig.shared().writer.view(move |cluster, _| cluster.assignment(node)).await.expect("a look");
    wanted(&list, id)
}

async fn stops(agent: &mut Agent, id: ReplicaId) {
    agent.list_where(|list| wanted(&list.assignment, id) == Some(Want::Stop)).await;
}

/// Two replicas that run, and the one that leaves once only one is asked for.
async fn leaving(rig: &Rig, proxy: &mut Proxy, drain_timeout_s: u32) -> (Agent, NodeId, DeploymentId, ReplicaId) {
    let (mut agent, node, _) = rig.agent("one").await;
    let id = deploy(rig, "shop", 2, json!({"drain_timeout_s": drain_timeout_s})).await;
    running(id, &mut agent, node, 2).await;
    proxy.until("both are ready", |proxy| proxy.upstreams(id, Ready).len() == 2).await;
    scale(rig, id, 1).await;
    proxy.until("one leaves", |proxy| proxy.upstreams(id, Leaving).len() == 1).await;
    let leaving = proxy.upstreams(id, Leaving)[0];
    assert_eq!(wanted_now(rig, node, leaving).await, Some(Want::Run));
    (agent, node, id, leaving)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_to_stop_once_every_proxy_has_let_go() {
    let rig = Rig::new().await;
    let mut one = Proxy::attach(&rig, "one").await;
    let mut other = Proxy::attach(&rig, "other").await;
    let (mut agent, node, _, leaving) = leaving(&rig, &mut one, 600).await;
    one.let_go(&[leaving]).await;
    one.is_heard().await;
    assert_eq!(wanted_now(&rig, node, leaving).await, Some(Want::Run), "the other one has not");
    other.let_go(&[leaving]).await;
    other.is_heard().await;
    stops(&mut agent, leaving).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_to_stop_at_the_deadline_whatever_proxies_say() {
    let rig = Rig::new().await;
    let mut proxy = Proxy::attach(&rig, "edge").await;
    let (mut agent, _, _, leaving) = leaving(&rig, &mut proxy, 2).await;
    proxy.let_go(&[]).await;
    stops(&mut agent, leaving).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_vanished_has_not_let_go() {
    let world = World::over(Rig::new().await).await;
    let rig = &world.rig;
    let mut staying = Proxy::attach(rig, "staying").await;
    let vanishing = Proxy::attach(rig, "vanishing").await;
    let (mut agent, node, _, leaving) = leaving(rig, &mut staying, 10).await;
    drop(vanishing);
    until("its end is noticed", async || {
        (world.get("/api/v1/proxies").await["items"].as_array().expect("a list").len() == 1).then_some(())
    })
    .await;
    staying.let_go(&[leaving]).await;
    staying.is_heard().await;
    assert_eq!(wanted_now(rig, node, leaving).await, Some(Want::Run), "it may still serve from its last table");
    stops(&mut agent, leaving).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_waits_for_proxies_before_it_believes_that_there_are_none() {
    let rig = Rig::new().await;
    let mut proxy = Proxy::attach(&rig, "edge").await;
    let (agent, node, id, leaving) = leaving(&rig, &mut proxy, 600).await;
    let directory = rig.stop().await;
    drop((agent, proxy));
    let rig = Rig::with(directory, |_| {}).await;
    let list = rig.shared().writer.view(move |cluster, _| cluster.assignment(node)).await.expect("a look");
    assert_eq!(wanted(&list, leaving), Some(Want::Run));
    let mut proxy = Proxy::attach(&rig, "edge").await;
    assert_eq!(proxy.upstreams(id, Leaving), [leaving], "it is told of it again");
    let (mut agent, _, _) = rig.agent("one").await;
    proxy.is_heard().await;
    assert_eq!(wanted_now(&rig, node, leaving).await, Some(Want::Run));
    proxy.let_go(&[leaving]).await;
    stops(&mut agent, leaving).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_route_stops_at_once() {
    let rig = Rig::new().await;
    let _proxy = Proxy::attach(&rig, "edge").await;
    let (mut agent, node, _) = rig.agent("one").await;
    let id = rig.deploy("worker", 1).await;
    let replica = running(id, &mut agent, node, 1).await[0];
    rig.submit(Command::StopDeployment { deployment_id: id }).await.expect("stopped");
    let list = agent.list_where(|list| !list.assignment.replicas.is_empty()).await;
    assert_eq!(wanted(&list.assignment, replica), Some(Want::Stop), "there is no list in between");
    rig.stop().await;
}
