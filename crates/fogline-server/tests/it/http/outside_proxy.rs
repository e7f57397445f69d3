//! A proxy that is no deployment: registered by its first policy, called back, completed by whoever carries it out.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::api::Api;

const ROOT: &str = "/proxy/scaling";

/// Somebody who is told of changes, and says that they will come.
async fn callback() -> (String, mpsc::UnboundedReceiver<Value>) {
    let (tell, told) = mpsc::unbounded_channel();
    let hear = move |Json(body): Json<Value>| {
        let tell = tell.clone();
        async move {
            let _ = tell.send(body);
            StatusCode::ACCEPTED
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/scale", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/scale", post(hear))).await });
    (url, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outside_proxy_is_registered_called_back_and_completed() {
    let api = Api::with(|config| config.sources.allow_private = true).await;
    let bob = api.user("bob", "user").await;
    let (url, mut told) = callback().await;
    for route in ["metrics", "events", "summary", "policies"] {
        api.get(&format!("{ROOT}/{route}/edge-9"), &api.admin).await.problem(404, "not-found");
    }
    let made = api
        .post(&format!("{ROOT}/policies/edge-9"), &api.admin, json!({"minReplicas": 2, "callbackUrl": url}))
        .await
        .ok(201);
    assert_eq!((&made["proxyId"], &made["callbackUrl"]), (&json!("edge-9"), &json!(url)));
    // Nobody has said how many it has: it is told what it should have at least.
    let call = tokio::time::timeout(Duration::from_secs(60), told.recv()).await.expect("a call").expect("a body");
    assert_eq!((&call["target"], &call["replicas"]), (&json!("edge-9"), &json!(2)), "{call}");
    let event = call["decisionId"].as_str().expect("an id").to_owned();
    let events = api.get(&format!("{ROOT}/events/edge-9"), &api.admin).await.ok(200);
    assert_eq!((&events[0]["eventId"], &events[0]["status"]), (&json!(event), &json!("pending")), "{events}");
    assert_eq!((&events[0]["durationMs"], &events[0]["triggeredBy"]), (&Value::Null, &json!("auto")));
    let early = api.post(&format!("{ROOT}/execute/edge-9"), &api.admin, json!({"newReplicaCount": 3})).await;
    early.problem(409, "changed-meanwhile");

    let complete = |id: &str| format!("{ROOT}/events/{id}/complete");
    api.post(&complete(&event), &bob, json!({"status": "completed"})).await.problem(404, "not-found");
    let done = api.post(&complete(&event), &api.admin, json!({"status": "completed"})).await.ok(200);
    assert_eq!(
        (&done["eventId"], &done["status"], &done["proxyId"]),
        (&json!(event), &json!("completed"), &json!("edge-9"))
    );
    assert!(done["durationMs"].is_u64());

    let body = json!({"newReplicaCount": 3, "reason": "by hand", "triggeredBy": "admin"});
    let next = api.post(&format!("{ROOT}/execute/edge-9"), &api.admin, body).await.ok(202);
    assert_eq!(
        (&next["status"], &next["previousReplicas"], &next["newReplicas"]),
        (&json!("pending"), &json!(2), &json!(3))
    );
    let next = next["eventId"].as_str().expect("an id").to_owned();
    let body = json!({"status": "failed", "error": "no machine left"});
    let failed = api.post(&complete(&next), &api.admin, body).await.ok(200);
    assert_eq!((&failed["status"], &failed["error"]), (&json!("failed"), &json!("no machine left")));
    let summary = api.get(&format!("{ROOT}/summary/edge-9"), &api.admin).await.ok(200);
    assert_eq!(summary["events"]["byOutcome"], json!({"completed": 1, "failed": 1}), "{summary}");
    api.stop().await;
}
