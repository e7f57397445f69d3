//! What a standby does for people and agents.

use std::collections::BTreeSet;

use bytes::Bytes;
use fogline_api::protocol::{FromAgent, FromServer, LogChunkData};
use fogline_core::observation::ReportedState;
use fogline_server::ServeError;
use fogline_testbed::Relay;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::cluster::{Ground, open, until};
use crate::http::api::{operations, spec};
use crate::rig::{Agent, greeting, report, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_reads_by_itself_and_passes_everything_else_on() {
    let ground = Ground::new();
    let (leader, standby) = ground.pair().await;
    let leads = format!("{}", leader.http());
    for server in [&leader, &standby] {
        let ready = server.ready().await.ok(200);
        assert_eq!((&ready["leader"], &ready["epoch"]), (&json!(leads), &json!(1)));
    }

    // A login, a change, its repetition, a read: all at the standby.
    let token = standby.login().await;
    let deploy =
        || standby.call_with("POST", "/api/v1/deployments", Some(&token), &[("idempotency-key", "k")], spec("app", 2));
    let first = deploy().await;
    let again = deploy().await;
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    let id = first.ok(202)["deployment_id"].as_str().expect("an id").to_owned();
    assert_eq!(again.ok(202)["deployment_id"], id);
    for server in [&leader, &standby] {
        let read = server.call("GET", &format!("/api/v1/deployments/{id}"), Some(&token), Value::Null).await;
        assert_eq!(read.ok(200)["name"], "app");
    }

    // A refusal comes through as it is, under the id that its caller gave.
    let refused = standby
        .call_with("POST", "/api/v1/deployments", Some(&token), &[("x-request-id", "mine")], spec("app", 2))
        .await;
    refused.problem(409, "name-taken");
    assert_eq!(refused.header("x-request-id"), "mine");

    // What is only in the leader's memory.
    let explained =
        standby.call("GET", &format!("/api/v1/deployments/{id}/explain"), Some(&token), Value::Null).await.ok(200);
    assert_eq!(explained["deployment_id"], id, "{explained}");

    // The audit log names the client, not the server that passed its request on.
    let audit = standby.call("GET", "/api/v1/audit?limit=200", Some(&token), Value::Null).await.ok(200);
    let remotes: BTreeSet<&str> =
        audit["items"].as_array().expect("a list").iter().filter_map(|line| line["remote"].as_str()).collect();
    assert!(!remotes.is_empty() && remotes.iter().all(|remote| remote.starts_with("127.0.0.1:")), "{remotes:?}");
    let forged = standby
        .call_with(
            "POST",
            "/api/v1/auth/login",
            None,
            &[("x-fogline-passed-on", "192.0.2.1:1;0;00")],
            json!({"username": "admin", "password": "x"}),
        )
        .await;
    forged.problem(503, "not-leader");

    let figures = standby.call("GET", "/metrics", None, Value::Null).await.text;
    assert!(figures.contains("fogline_leader 0") && figures.contains("fogline_passed_on_total{outcome=\"answered\"}"));
    assert!(leader.call("GET", "/metrics", None, Value::Null).await.text.contains("fogline_leader 1"));
    standby.end().await;
    leader.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_that_needs_the_leader_says_so_when_it_cannot_be_reached() {
    let ground = Ground::new();
    let leader = ground.server_with(|config| config.advertise = Some("127.0.0.1:1".to_owned())).await;
    let standby = ground.server().await;
    let token = leader.login().await;
    let of_its_memory: BTreeSet<&str> = [
        "listNodes",
        "getNode",
        "explainDeployment",
        "readLog",
        "readReplicaLog",
        "watchEvents",
        "listDeploymentDecisions",
        "listPolicies",
        "getPolicy",
        "listPolicyDecisions",
        "listScalingHistory",
        "deploymentTraffic",
        "listRoutes",
        "listProxies",
        "getMetrics",
        "proxyPolicy",
        "proxyMetrics",
        "proxyEvents",
        "proxySummary",
    ]
    .into();
    for (method, path, name, _) in operations() {
        let path = path.replace("{id}", "none").replace("{replica}", "none").replace("{deployment_id}", "none");
        let body = if method == "GET" { Value::Null } else { json!({}) };
        let answer = standby.call(&method, &path, Some(&token), body).await;
        if method == "GET" && !of_its_memory.contains(name.as_str()) {
            assert_ne!(answer.status, 503, "{name}: {}", answer.text);
        } else {
            answer.problem_of(&name, 503, "no-leader");
            assert_eq!(answer.header("retry-after"), "1", "{name}");
        }
    }
    standby.end().await;
    leader.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_passed_on_once_and_no_further() {
    let ground = Ground::new();
    let way = Relay::to(ground.postgres.addr());
    let leader = ground.server_with(|config| config.advertise = Some(way.addr().to_string())).await;
    let standby = ground.server().await;
    // What is meant for the leader comes back to the standby.
    way.redirect(standby.http());
    let answer = standby.call("POST", "/api/v1/auth/logout", None, Value::Null).await;
    answer.problem(503, "not-leader");
    assert_eq!(answer.header("retry-after"), "1");
    standby.end().await;
    leader.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_before_it_is_passed_on() {
    let ground = Ground::new();
    let (leader, standby) = ground.pair().await;
    let token = leader.login().await;
    let large = json!({"name": "x".repeat(2 << 20)});
    standby.call("POST", "/api/v1/deployments", Some(&token), large).await.problem(413, "too-large");
    standby.end().await;
    leader.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_told_who_leads_and_a_log_is_followed_through_a_standby() {
    let ground = Ground::new();
    let (leader, standby) = ground.pair().await;
    let agents_token = standby.token_of_agents();
    let mut turned_away = Agent::connect(standby.agents(), &agents_token).await.expect("a stream");
    turned_away.say(FromAgent::Hello(greeting(&["one"]))).await;
    let told = turned_away.hear().await.expect("a word");
    assert_eq!(told, FromServer::NotLeader { leader: Some(leader.agents().to_string()) });

    let mut agent = Agent::connect(leader.agents(), &agents_token).await.expect("a stream");
    agent.say(FromAgent::Hello(greeting(&["one"]))).await;
    let FromServer::Welcome(welcome) = agent.hear().await.expect("a word") else { panic!("no welcome") };
    let token = standby.login().await;
    let id = standby.call("POST", "/api/v1/deployments", Some(&token), spec("app", 1)).await.ok(202);
    let id = id["deployment_id"].as_str().expect("an id").to_owned();
    let list = agent.list_where(|list| !list.assignment.replicas.is_empty()).await;
    let replica = list.assignment.replicas[0].replica_id;
    let number = agent.observe(welcome.node_ids["one"], vec![report(replica, 1, ReportedState::Running)]).await;
    agent.acknowledged(number).await;

    let path = format!("/api/v1/deployments/{id}/logs?follow=true");
    let server = standby.http();
    let reading = tokio::spawn(async move { open(server, "GET", &path, Some(&token), &[], String::new()).await });
    let request = loop {
        if let FromServer::LogRequest(question) = agent.hear().await.expect("a word") {
            break question.request;
        }
    };
    let mut body = soon("the beginning of the log", reading).await.expect("no panic").into_body();
    for words in ["first", "second"] {
        let data = Bytes::from_static(words.as_bytes());
        agent.say(FromAgent::LogChunk(LogChunkData { request, data: data.clone(), end: false, error: None })).await;
        let frame = soon("a piece", body.frame()).await.expect("more").expect("whole");
        assert_eq!(frame.into_data().expect("data"), data);
    }
    // Its reader goes away.
    drop(body);
    loop {
        if agent.hear().await.expect("a word") == (FromServer::LogCancel { request }) {
            break;
        }
    }
    standby.end().await;
    leader.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_other_keys_does_not_start() {
    let ground = Ground::new();
    let leader = ground.server().await;
    let error = ground
        .refuses(|config| {
            std::fs::remove_file(config.jwt_key_path()).expect("removed");
        })
        .await;
    assert!(matches!(error, ServeError::OtherKeys { .. }), "{error}");
    let text = error.to_string();
    for part in ["keys/jwt.key", "agent.token", "copy these two files"] {
        assert!(text.to_lowercase().contains(part), "{part} in {text}");
    }
    leader.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_nobody_can_call_is_refused_at_the_start() {
    let ground = Ground::new();
    let error = ground.refuses(|config| config.listen = ([0, 0, 0, 0], 0).into()).await;
    assert!(matches!(error, ServeError::Unreachable { setting: "advertise", .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_a_frozen_leader_holds_is_answered_once_it_does_not_lead_any_more() {
    let ground = Ground::new();
    let way = Relay::to(ground.postgres.addr());
    let leader = ground.server_with(|config| config.advertise = Some(way.addr().to_string())).await;
    way.redirect(leader.http());
    let standby = ground.server().await;
    let token = standby.login().await;
    way.hang();
    let (server, sent) = (standby.http(), token.clone());
    let write = tokio::spawn(async move {
        open(server, "POST", "/api/v1/deployments", Some(&sent), &[], spec("app", 1).to_string()).await
    });
    until("the write to be on its way", async || {
        !write.is_finished() && standby.call("GET", "/metrics", None, Value::Null).await.status == 200
    })
    .await;
    leader.end().await;
    let answer = soon("an answer", write).await.expect("no panic");
    assert_eq!(answer.status(), 503);
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    let problem: Value = serde_json::from_slice(&body).expect("a problem");
    let kind = problem["type"].as_str().expect("a type");
    assert!(["/problems/outcome-unknown", "/problems/no-leader"].contains(&kind), "{problem}");
    standby.becomes("leader").await;
    standby.end().await;
}
