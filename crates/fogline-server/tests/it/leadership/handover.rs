//! How a term ends, and how the next one begins.

use std::time::Duration;

use fogline_api::protocol::{FromAgent, FromServer};
use fogline_core::command::Command;
use fogline_core::observation::ReportedState;
use fogline_server::WriteError;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::cluster::{Ground, LEASE, Member, until};
use crate::http::api::spec;
use crate::rig::{Agent, greeting, report, returning, soon};

/// A deployment of one replica that runs, its agent, and what the agent was told.
async fn with_work(leader: &Member) -> (Agent, String, fogline_api::protocol::NodeAssignment) {
    let mut agent = Agent::connect(leader.agents(), &leader.token_of_agents()).await.expect("a stream");
    agent.say(FromAgent::Hello(greeting(&["one"]))).await;
    let FromServer::Welcome(welcome) = agent.hear().await.expect("a word") else { panic!("no welcome") };
    let token = leader.login().await;
    let answer = leader.call("POST", "/api/v1/deployments", Some(&token), spec("app", 1)).await.ok(202);
    let list = agent.list_where(|list| !list.assignment.replicas.is_empty()).await;
    let replica = list.assignment.replicas[0].replica_id;
    let number = agent.observe(welcome.node_ids["one"], vec![report(replica, 1, ReportedState::Running)]).await;
    agent.acknowledged(number).await;
    (agent, answer["deployment_id"].as_str().expect("an id").to_owned(), list)
}

/// The agent calls the new leader, and is told to go on with what it has.
async fn goes_on(server: &Member, before: &fogline_api::protocol::NodeAssignment) {
    let mut agent = Agent::connect(server.agents(), &server.token_of_agents()).await.expect("a stream");
    agent.say(FromAgent::Hello(returning(&["one"], &before.authority))).await;
    let FromServer::Welcome(welcome) = agent.hear().await.expect("a word") else { panic!("no welcome") };
    assert!(welcome.authority.epoch > before.authority.epoch, "{welcome:?}");
    let list = agent.list().await;
    assert!(list.authority.epoch > before.authority.epoch);
    assert_eq!(list.assignment.replicas, before.assignment.replicas);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stops_hands_over_at_once() {
    let ground = Ground::new();
    let (leader, standby) = ground.pair().await;
    let (agent, id, list) = with_work(&leader).await;
    let token = leader.login().await;
    let since = Instant::now();
    leader.end().await;
    drop(agent);
    standby.becomes("leader").await;
    let took = since.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    // Its token is good at the other server, which knows everything.
    let path = format!("/api/v1/deployments/{id}/scale");
    let scaled = standby.call("POST", &path, Some(&token), json!({"replicas": 1})).await;
    assert_eq!(scaled.ok(200)["message"], "Already at 1 replicas");
    goes_on(&standby, &list).await;
    assert_eq!(standby.ready().await.ok(200)["epoch"], 2);
    standby.end().await;
}

/// The leader loses the database, and the other server takes over. Nothing of the old term acts after that.
async fn loses_the_database(cut: impl Fn(&Member)) {
    let ground = Ground::new();
    let (leader, standby) = ground.pair().await;
    let (mut agent, id, list) = with_work(&leader).await;
    let token = leader.login().await;
    let writer = leader.running.shared().writer.clone();
    let since = Instant::now();
    cut(&leader);

    // A change on its way is answered: it may have landed, or it has not.
    let scale = json!({"replicas": 2});
    let pending = leader.call("POST", &format!("/api/v1/deployments/{id}/scale"), Some(&token), scale).await;
    assert_eq!(pending.status, 503, "{}", pending.text);
    assert!(!pending.header("retry-after").is_empty(), "{}", pending.text);

    // The session ends before the lease does, whatever was to be said.
    let end = loop {
        match agent.hear().await {
            Ok(FromServer::Assignment(again)) => assert_eq!(again.assignment.replicas, list.assignment.replicas),
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert!(end.message().contains("does not lead any more"), "{end:?}");
    assert!(since.elapsed() < LEASE + Duration::from_secs(2), "{:?}", since.elapsed());
    let refused =
        writer.submit(fogline_core::command::Request::agent(Command::DeclareNodes { nodes: Vec::new() })).await;
    assert!(matches!(refused, Err(WriteError::NotLeader { .. })), "{refused:?}");

    standby.becomes("leader").await;
    let took = since.elapsed();
    eprintln!("another server leads after {took:?}, with a lease of {LEASE:?}");
    assert!(took < LEASE + Duration::from_secs(7), "{took:?}");
    goes_on(&standby, &list).await;
    let path = format!("/api/v1/deployments/{id}/scale");
    standby.call("POST", &path, Some(&token), json!({"replicas": 2})).await.ok(200);

    // It comes back as a standby, and passes on.
    leader.relay.pass();
    leader.becomes("standby").await;
    assert_eq!(leader.ready().await.ok(200)["leader"], standby.http().to_string());
    let nodes = leader.call("GET", "/api/v1/nodes", Some(&token), Value::Null).await.ok(200);
    assert_eq!(nodes["items"].as_array().map(Vec::len), Some(1), "{nodes}");
    leader.end().await;
    standby.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_database_hangs_steps_down_before_its_lease_ends() {
    loses_the_database(|leader| leader.relay.hang()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_from_the_database_steps_down_before_its_lease_ends() {
    loses_the_database(|leader| leader.relay.cut()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_alone_keeps_leading_while_nobody_writes() {
    let ground = Ground::new();
    let leader = ground.server().await;
    let epoch = leader.ready().await.ok(200)["epoch"].clone();
    // Longer than the lease: only renewals keep it.
    tokio::time::sleep(LEASE + LEASE).await;
    assert_eq!(leader.ready().await.ok(200)["epoch"], epoch);
    let standby = ground.server().await;
    assert_eq!(standby.ready().await.ok(200)["role"], "standby");
    standby.end().await;
    leader.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_leads_again_begins_from_what_the_other_has_written() {
    let ground = Ground::new();
    let (first, second) = ground.pair().await;
    let token = first.login().await;
    first.relay.cut();
    second.becomes("leader").await;
    second.call("POST", "/api/v1/deployments", Some(&token), spec("written-elsewhere", 1)).await.ok(202);
    first.relay.pass();
    first.becomes("standby").await;
    second.end().await;
    first.becomes("leader").await;
    first
        .call("POST", "/api/v1/deployments", Some(&token), spec("written-elsewhere", 1))
        .await
        .problem(409, "name-taken");
    let ready = first.ready().await.ok(200);
    assert_eq!((&ready["epoch"], &ready["lost"]), (&json!(3), &Value::Null));
    until("its nodes and deployments to be counted again", async || {
        first.call("GET", "/metrics", None, Value::Null).await.text.contains("fogline_take_overs_total 2")
    })
    .await;
    soon("the end", first.end()).await;
}
