//! A copy of the database that has not received everything, and is promoted.

use std::sync::Arc;

use fogline_api::protocol::{FromAgent, FromServer};
use fogline_testbed::Postgres;
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::cluster::{Ground, until};
use crate::http::api::spec;
use crate::rig::{Agent, greeting};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_promoted_copy_has_lost_is_told_and_its_epochs_are_new() {
    let postgres = Arc::new(block_in_place(Postgres::start));
    let ground = Ground::on(Arc::clone(&postgres));
    let server = ground.server().await;
    let token = server.login().await;
    server.call("POST", "/api/v1/deployments", Some(&token), spec("kept", 1)).await.ok(202);
    let before = server.ready().await.ok(200)["epoch"].as_u64().expect("an epoch");
    let mut agent = Agent::connect(server.agents(), &server.token_of_agents()).await.expect("a stream");
    agent.say(FromAgent::Hello(greeting(&["one"]))).await;
    assert!(matches!(agent.hear().await.expect("a word"), FromServer::Welcome(_)));

    let copy = block_in_place(|| {
        let copy = postgres.standby();
        copy.catch_up_with(&postgres);
        copy.pause_replication();
        copy
    });
    for number in 0..5 {
        server.call("POST", "/api/v1/deployments", Some(&token), spec(&format!("lost-{number}"), 1)).await.ok(202);
    }
    let acknowledged = server.running.shared().writer.revision();
    block_in_place(|| {
        postgres.kill();
        copy.promote();
    });
    server.relay.redirect(copy.addr());

    until("a new term", async || server.ready().await.json["epoch"].as_u64().is_some_and(|epoch| epoch >= 1 << 32))
        .await;
    let ready = server.ready().await.ok(200);
    assert_eq!(ready["role"], "leader");
    let lost = &ready["lost"];
    assert!(lost["acknowledged"].as_u64().expect("a revision") >= acknowledged, "{ready}");
    assert!(lost["found"].as_u64().expect("a revision") + 5 <= acknowledged, "{ready}");
    assert!(ready["epoch"].as_u64() > Some(before));
    let figures = server.call("GET", "/metrics", None, Value::Null).await.text;
    let counted = figures.lines().find_map(|line| line.strip_prefix("fogline_lost_revisions_total "));
    assert!(counted.and_then(|count| count.parse::<u64>().ok()).is_some_and(|count| count >= 5), "{counted:?}");

    // What is there is there, and what is lost is not pretended.
    let token = server.login().await;
    let list = server.call("GET", "/api/v1/deployments", Some(&token), Value::Null).await.ok(200);
    let names: Vec<&Value> = list["items"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert_eq!(names, [&json!("kept")]);
    server.end().await;
}
