//! The table of routes follows what is durable, and what is observed.

use fogline_core::command::Command;
use fogline_core::observation::ReportedState;
use fogline_core::spec::RouteSpec;
use fogline_core::traffic::UpstreamState::{Leaving, Ready, Starting};
use serde_json::json;

use super::play::{Proxy, deploy, said, scale, sleep};
use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_told_as_its_replicas_come_and_go() {
    let rig = Rig::new().await;
    let (mut agent, node, _) = rig.agent("one").await;
    let mut proxy = Proxy::attach(&rig, "edge").await;
    rig.deploy("without-a-route", 1).await;
    agent.list_where(|list| list.assignment.replicas.len() == 1).await;
    let id = deploy(&rig, "shop", 2, json!({"traffic": {"timeout_s": 7}})).await;
    proxy.until("the service", |proxy| proxy.table.contains_key(&id)).await;
    let service = &proxy.table[&id];
    let host = |host: &str| RouteSpec { host: Some(host.to_owned()), ..RouteSpec::default() };
    assert_eq!((&*service.name, &*service.routes), ("shop", &[host("shop.example.com")][..]));
    assert_eq!((service.traffic.timeout_s, service.asleep, service.owner), (7, false, rig.admin));

    let list = agent.list_where(|list| list.assignment.replicas.len() == 3).await;
    let ours = list.assignment.replicas.iter().filter(|replica| replica.deployment_id == id);
    let ours: Vec<_> = ours.map(|replica| replica.replica_id).collect();
    agent.observe(node, vec![said(ours[0], 1, ReportedState::Starting, false)]).await;
    proxy.until("one that starts", |proxy| proxy.upstreams(id, Starting) == [ours[0]]).await;
    agent.observe(node, ours.iter().map(|id| said(*id, 2, ReportedState::Running, true)).collect()).await;
    proxy.until("two that are ready", |proxy| proxy.upstreams(id, Ready).len() == 2).await;
    assert_eq!(&*proxy.table[&id].upstreams[0].endpoint, "127.0.0.1:20001");

    scale(&rig, id, 1).await;
    proxy.until("one that leaves", |proxy| proxy.upstreams(id, Leaving).len() == 1).await;
    let leaving = proxy.upstreams(id, Leaving)[0];
    agent.observe(node, vec![said(leaving, 3, ReportedState::Stopped, false)]).await;
    proxy.until("one that is gone", |proxy| proxy.table[&id].upstreams.len() == 1).await;

    sleep(&rig, id).await;
    proxy.until("sleep", |proxy| proxy.table[&id].asleep).await;
    rig.submit(Command::DeleteDeployment { deployment_id: id }).await.expect("deleted");
    proxy.until("no route", |proxy| proxy.table.get(&id).is_none_or(|service| service.routes.is_empty())).await;
    let last: Vec<_> =
        ours.iter().filter(|id| **id != leaving).map(|id| said(*id, 4, ReportedState::Stopped, false)).collect();
    agent.observe(node, last).await;
    proxy.until("nothing", |proxy| proxy.table.is_empty()).await;
    assert_eq!(proxy.wholes, 1, "all that were changes");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stops_being_ready_is_taken_out_though_no_row_says_so() {
    let rig = Rig::new().await;
    let (mut agent, node, _) = rig.agent("one").await;
    let mut proxy = Proxy::attach(&rig, "edge").await;
    let id = deploy(&rig, "shop", 1, json!({})).await;
    let replica = super::play::running(id, &mut agent, node, 1).await[0];
    proxy.until("it is ready", |proxy| proxy.upstreams(id, Ready) == [replica]).await;
    let revision = rig.shared().writer.revision();
    agent.observe(node, vec![said(replica, 2, ReportedState::Running, false)]).await;
    proxy.until("it is not", |proxy| proxy.upstreams(id, Ready).is_empty()).await;
    agent.observe(node, vec![said(replica, 3, ReportedState::Running, true)]).await;
    proxy.until("it is again", |proxy| proxy.upstreams(id, Ready) == [replica]).await;
    assert_eq!(rig.shared().writer.revision(), revision, "nothing was written");
    rig.stop().await;
}
