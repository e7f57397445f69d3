//! A database that is not there for a while.

use std::sync::Arc;
use std::time::Duration;

use fogline_api::protocol::{FromAgent, FromServer};
use fogline_core::command::{Command, Request};
use fogline_server::WriteError;
use fogline_testbed::Postgres;
use serde_json::Value;
use tokio::task::block_in_place;

use super::cluster::{Ground, until};
use crate::http::api::spec;
use crate::rig::{Agent, greeting, node};

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_everything_says_so_and_goes_on_afterwards() {
    let postgres = Arc::new(block_in_place(Postgres::start));
    let ground = Ground::on(Arc::clone(&postgres));
    let server = ground.server().await;
    let token = server.login().await;
    let mut agent = Agent::connect(server.agents(), &server.token_of_agents()).await.expect("a stream");
    agent.say(FromAgent::Hello(greeting(&["one"]))).await;
    assert!(matches!(agent.hear().await.expect("a word"), FromServer::Welcome(_)));

    block_in_place(|| postgres.stop());
    let read = server.call("GET", "/api/v1/deployments", Some(&token), Value::Null).await;
    read.problem(503, "database-unavailable");
    assert!(read.json["detail"].as_str().expect("words").contains("the database cannot be reached"), "{}", read.text);
    assert!(!read.header("retry-after").is_empty());
    // Whoever writes is known by a row, so the refusal is the same.
    let write = server.call("POST", "/api/v1/deployments", Some(&token), spec("app", 1)).await;
    assert_eq!(write.status, 503, "{}", write.text);
    assert!(!write.header("retry-after").is_empty());
    server.ready().await.problem(503, "database-unavailable");
    assert_eq!(server.call("GET", "/healthz", None, Value::Null).await.status, 200);
    until("the term to end", async || {
        server.call("GET", "/metrics", None, Value::Null).await.text.contains("fogline_leader 0")
    })
    .await;

    block_in_place(|| postgres.restart());
    server.becomes("leader").await;
    server.call("POST", "/api/v1/deployments", Some(&token), spec("app", 1)).await.ok(202);
    let read = server.call("GET", "/api/v1/deployments", Some(&token), Value::Null).await.ok(200);
    assert_eq!(read["items"].as_array().map(Vec::len), Some(1), "{read}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_without_the_database_ends_no_term() {
    let ground = Ground::new();
    let server = ground.server_with(|config| config.lease = Duration::from_secs(30)).await;
    let token = server.login().await;
    let epoch = server.ready().await.ok(200)["epoch"].clone();
    server.relay.cut();
    let write =
        server.running.shared().writer.submit(Request::agent(Command::DeclareNodes { nodes: vec![node("one")] }));
    let refused = write.await.expect_err("there is no database");
    assert!(matches!(refused, WriteError::DatabaseAway | WriteError::OutcomeUnknown), "{refused:?}");
    server.relay.pass();
    server.becomes("leader").await;
    server.call("POST", "/api/v1/deployments", Some(&token), spec("app", 1)).await.ok(202);
    assert_eq!(server.ready().await.ok(200)["epoch"], epoch, "the same term");
    server.end().await;
}
