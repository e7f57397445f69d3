//! The proxy seed's view of scaling. The first tests have the names of the seed's own list of cases; those of them that
//! need no server are in `fogline-core/tests/it/scaling/seed_cases.rs` as well.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::Api;

const ROOT: &str = "/proxy/scaling";

fn load(cpu: f64, memory: f64, rate: f64, errors: f64) -> Value {
    json!({"cpuPercent": cpu, "memoryPercent": memory, "requestRate": rate, "averageLatencyMs": 12.5, "errorRate": errors})
}

/// A server with a deployment "edge" of so many replicas, which run.
async fn with_edge(replicas: u32) -> Api {
    let api = Api::with_nodes(6).await;
    let id = api.deploy(&api.admin, "edge", replicas).await;
    api.run(&id).await;
    api
}

async fn set(api: &Api, proxy: &str, policy: Value) -> super::api::Answer {
    api.post(&format!("{ROOT}/policies/{proxy}"), &api.admin, policy).await
}

async fn refused(policy: Value, fields: &[&str]) {
    let api = with_edge(1).await;
    assert_eq!(set(&api, "edge", policy).await.problem(400, "invalid-request"), fields);
    api.get(&format!("{ROOT}/policies/edge"), &api.admin).await.problem(404, "not-found");
    api.stop().await;
}

// Scaling policy management.

#[tokio::test(flavor = "multi_thread")]
async fn create_policy_with_valid_configuration() {
    let api = with_edge(1).await;
    let made = set(&api, "edge", json!({})).await.ok(201);
    for (field, value) in [
        ("proxyId", json!("edge")),
        ("minReplicas", json!(1)),
        ("maxReplicas", json!(10)),
        ("targetCpuPercent", json!(70.0)),
        ("targetMemoryPercent", json!(80.0)),
        ("targetRequestRate", json!(1000.0)),
        ("scaleUpThreshold", json!(80.0)),
        ("scaleDownThreshold", json!(30.0)),
        ("scaleUpCooldownSeconds", json!(60)),
        ("scaleDownCooldownSeconds", json!(300)),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let changed = set(&api, "edge", json!({"maxReplicas": 5, "scaleUpThreshold": 75})).await.ok(200);
    assert_eq!((&changed["id"], &changed["maxReplicas"], &changed["version"]), (&made["id"], &json!(5), &json!(2)));
    assert_eq!(api.get(&format!("{ROOT}/policies/edge"), &api.admin).await.ok(200), changed);
    // The same policy in the other view.
    let id = made["id"].as_str().expect("an id");
    let other = api.get(&format!("/api/v1/scaling/policies/{id}"), &api.admin).await.ok(200);
    assert_eq!((&other["load_score"]["scale_up_threshold"], &other["max_replicas"]), (&json!(75.0), &json!(5)));
    assert_eq!((&other["target_type"], &other["executor"]), (&json!("proxy"), &json!("deployment")));
    // What only that one has words for stays.
    let rules = json!({"schedules": [{"cron_expression": "0 8 * * *", "desired_replicas": 3}]}).to_string();
    api.call("PATCH", &format!("/api/v1/scaling/policies/{id}"), Some(&api.admin), &rules).await.ok(200);
    set(&api, "edge", json!({})).await.ok(200);
    let other = api.get(&format!("/api/v1/scaling/policies/{id}"), &api.admin).await.ok(200);
    assert_eq!((&other["schedules"][0]["desired_replicas"], &other["max_replicas"]), (&json!(3), &json!(10)));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reject_invalid_min_replicas() {
    refused(json!({"minReplicas": 0}), &["minReplicas"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reject_max_replicas_less_than_min_replicas() {
    refused(json!({"minReplicas": 5, "maxReplicas": 2}), &["maxReplicas"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reject_invalid_cpu_percent() {
    refused(json!({"targetCpuPercent": 150}), &["targetCpuPercent"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reject_invalid_threshold_configuration() {
    refused(json!({"scaleUpThreshold": 30, "scaleDownThreshold": 80}), &["scaleDownThreshold"]).await;
}

// Load metrics recording.

#[tokio::test(flavor = "multi_thread")]
async fn record_metrics_with_valid_data() {
    let api = with_edge(1).await;
    let path = format!("{ROOT}/metrics/edge");
    let recorded = api.post(&path, &api.admin, load(50.0, 60.0, 500.0, 2.0)).await.ok(200);
    for (field, value) in [
        ("proxyId", json!("edge")),
        ("cpuPercent", json!(50.0)),
        ("memoryPercent", json!(60.0)),
        ("requestRate", json!(500.0)),
        ("averageLatencyMs", json!(12.5)),
        ("errorRate", json!(2.0)),
    ] {
        assert_eq!(recorded[field], value, "{field}");
    }
    let latest = api.get(&path, &api.admin).await.ok(200);
    assert_eq!(latest, recorded, "the latest snapshot is what was recorded");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reject_metrics_with_missing_fields() {
    let api = with_edge(1).await;
    let path = format!("{ROOT}/metrics/edge");
    for field in ["cpuPercent", "memoryPercent", "requestRate", "averageLatencyMs", "errorRate"] {
        let mut lacking = load(50.0, 60.0, 500.0, 2.0);
        lacking.as_object_mut().expect("an object").remove(field);
        let refused = api.post(&path, &api.admin, lacking).await;
        assert_eq!(refused.problem(400, "invalid-request"), [field]);
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calculate_load_score_correctly() {
    let api = with_edge(1).await;
    let path = format!("{ROOT}/metrics/edge");
    // 0.4 · 50 + 0.3 · 60 + 0.2 · 50 + 0.1 · 2
    let recorded = api.post(&path, &api.admin, load(50.0, 60.0, 500.0, 2.0)).await.ok(200);
    assert_eq!(recorded["loadScore"], 48.2);
    set(&api, "edge", json!({"targetRequestRate": 500})).await.ok(201);
    let recorded = api.post(&path, &api.admin, load(50.0, 60.0, 500.0, 2.0)).await.ok(200);
    assert_eq!(recorded["loadScore"], 58.2, "by the policy's own target rate");
    assert_eq!(api.get(&path, &api.admin).await.ok(200)["loadScore"], 58.2);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cap_load_score_at_100() {
    let api = with_edge(1).await;
    let recorded = api.post(&format!("{ROOT}/metrics/edge"), &api.admin, load(100.0, 100.0, 1e6, 100.0)).await.ok(200);
    assert_eq!(recorded["loadScore"], 100.0);
    api.stop().await;
}

// Scaling evaluation.

/// What is said of a proxy of so many replicas under this load, by a policy that only looks.
async fn evaluated(replicas: u32, policy: Value, load: Value) -> Value {
    let api = with_edge(replicas).await;
    let mut policy = policy;
    policy["dryRun"] = json!(true);
    set(&api, "edge", policy).await.ok(201);
    api.post(&format!("{ROOT}/metrics/edge"), &api.admin, load).await.ok(200);
    let answer = api.call("POST", &format!("{ROOT}/evaluate/edge"), Some(&api.admin), "").await.ok(200);
    assert_eq!((&answer["proxyId"], &answer["currentReplicas"]), (&json!("edge"), &json!(replicas)), "{answer}");
    assert!(answer["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    api.stop().await;
    answer
}

fn said(answer: &Value) -> (bool, &str, u64) {
    let action = answer["action"].as_str().expect("a word");
    (
        answer["shouldScale"].as_bool().expect("yes or no"),
        action,
        answer["recommendedReplicas"].as_u64().expect("a count"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn no_scaling_when_load_within_thresholds() {
    let answer = evaluated(2, json!({}), load(50.0, 50.0, 500.0, 0.0)).await;
    assert_eq!((said(&answer), &answer["loadScore"]), ((false, "none", 2), &json!(45.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn recommend_scale_up_when_load_exceeds_threshold() {
    let answer = evaluated(2, json!({}), load(95.0, 95.0, 1_000.0, 0.0)).await;
    assert_eq!((said(&answer), &answer["loadScore"]), ((true, "scale_up", 3), &json!(86.5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn respect_maximum_replicas_when_scaling_up() {
    let answer = evaluated(2, json!({"maxReplicas": 2}), load(95.0, 95.0, 1_000.0, 0.0)).await;
    assert_eq!(said(&answer), (false, "none", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn respect_minimum_replicas_when_scaling_down() {
    let answer = evaluated(2, json!({"minReplicas": 2}), load(5.0, 5.0, 0.0, 0.0)).await;
    assert_eq!(said(&answer), (false, "none", 2));
}

// Scaling execution.

#[tokio::test(flavor = "multi_thread")]
async fn execute_scaling_with_valid_parameters() {
    let api = with_edge(1).await;
    set(&api, "edge", json!({})).await.ok(201);
    let body = json!({"newReplicaCount": 3, "reason": "a sale begins", "triggeredBy": "manual"});
    let event = api.post(&format!("{ROOT}/execute/edge"), &api.admin, body).await.ok(202);
    assert!(event["eventId"].is_string());
    assert_eq!((&event["status"], &event["eventType"]), (&json!("completed"), &json!("scale_up")), "{event}");
    assert_eq!((&event["previousReplicas"], &event["newReplicas"]), (&json!(1), &json!(3)));
    assert_eq!(event["triggeredBy"], "manual");
    assert!(event["reason"].as_str().is_some_and(|reason| reason.ends_with("a sale begins")), "{event}");
    assert_eq!(api.get("/api/v1/deployments/edge", &api.admin).await.ok(200)["target_replicas"], 3);
    // By the owner, who is no administrator, and without a policy.
    let bob = api.user("bob", "user").await;
    api.deploy(&bob, "bobs", 1).await;
    let event = api.post(&format!("{ROOT}/execute/bobs"), &bob, json!({"newReplicaCount": 2})).await.ok(202);
    assert_eq!(event["triggeredBy"], "manual");
    let body = json!({"newReplicaCount": 1, "triggeredBy": "admin"});
    api.post(&format!("{ROOT}/execute/bobs"), &bob, body).await.problem(403, "forbidden");
    // Only the engine decides by itself.
    let body = json!({"newReplicaCount": 1, "triggeredBy": "auto"});
    let event = api.post(&format!("{ROOT}/execute/bobs"), &bob, body.clone()).await.ok(202);
    assert_eq!(event["triggeredBy"], "manual");
    let event = api.post(&format!("{ROOT}/execute/edge"), &api.admin, body).await.ok(202);
    assert_eq!(event["triggeredBy"], "admin");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reject_scaling_with_invalid_replica_count() {
    let api = with_edge(1).await;
    set(&api, "edge", json!({"maxReplicas": 4})).await.ok(201);
    for count in [0, -1, 5, 101] {
        let refused = api.post(&format!("{ROOT}/execute/edge"), &api.admin, json!({"newReplicaCount": count})).await;
        assert_eq!(refused.problem(400, "invalid-request"), ["newReplicaCount"], "{count}");
    }
    assert_eq!(api.get("/api/v1/deployments/edge", &api.admin).await.ok(200)["target_replicas"], 1);
    api.stop().await;
}

// Scaling event completion.

#[tokio::test(flavor = "multi_thread")]
async fn reject_invalid_status() {
    let api = with_edge(1).await;
    let event = api.post(&format!("{ROOT}/execute/edge"), &api.admin, json!({"newReplicaCount": 2})).await.ok(202);
    let path = format!("{ROOT}/events/{}/complete", event["eventId"].as_str().expect("an id"));
    for status in ["done", "pending", ""] {
        let refused = api.post(&path, &api.admin, json!({"status": status})).await;
        assert_eq!(refused.problem(400, "invalid-request"), ["status"], "{status}");
    }
    assert_eq!(api.post(&path, &api.admin, json!({})).await.problem(400, "invalid-request"), ["status"]);
    let refused = api.post(&path, &api.admin, json!({"status": "completed", "error": "but"})).await;
    assert_eq!(refused.problem(400, "invalid-request"), ["error"]);
    for error in ["a\u{1b}[2Jb".to_owned(), "e".repeat(501)] {
        let refused = api.post(&path, &api.admin, json!({"status": "failed", "error": error})).await;
        assert_eq!(refused.problem(400, "invalid-request"), ["error"]);
    }
    // It has ended already.
    api.post(&path, &api.admin, json!({"status": "completed"})).await.problem(404, "not-found");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reject_missing_event_id() {
    let api = Api::new().await;
    let body = json!({"status": "completed"});
    for id in ["", "%20"] {
        let refused = api.post(&format!("{ROOT}/events/{id}/complete"), &api.admin, body.clone()).await;
        assert_eq!(refused.problem(400, "invalid-request"), ["eventId"], "{id:?}");
    }
    for id in ["nothing", "00000000-0000-7000-8000-000000000000"] {
        let path = format!("{ROOT}/events/{id}/complete");
        api.post(&path, &api.admin, body.clone()).await.problem(404, "not-found");
    }
    api.stop().await;
}

// Scaling history and summary.

#[tokio::test(flavor = "multi_thread")]
async fn retrieve_scaling_events() {
    let api = with_edge(1).await;
    for count in [3, 2, 4] {
        api.post(&format!("{ROOT}/execute/edge"), &api.admin, json!({"newReplicaCount": count})).await.ok(202);
    }
    let events = api.get(&format!("{ROOT}/events/edge"), &api.admin).await.ok(200);
    let seen: Vec<(u64, u64, &str)> = events
        .as_array()
        .expect("an array")
        .iter()
        .map(|one| {
            let count = |name: &str| one[name].as_u64().expect("a count");
            (count("previousReplicas"), count("newReplicas"), one["eventType"].as_str().expect("a word"))
        })
        .collect();
    assert_eq!(seen, [(2, 4, "scale_up"), (3, 2, "scale_down"), (1, 3, "scale_up")], "newest first");
    for one in events.as_array().expect("an array") {
        assert_eq!(
            (&one["status"], &one["triggeredBy"], &one["error"]),
            (&json!("completed"), &json!("admin"), &Value::Null)
        );
        assert!(one["durationMs"].is_u64() && one["createdAt"].is_string() && one["completedAt"].is_string(), "{one}");
    }
    let latest = api.get(&format!("{ROOT}/events/edge?limit=1"), &api.admin).await.ok(200);
    assert_eq!(latest, json!([events[0]]));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retrieve_scaling_summary() {
    let api = with_edge(1).await;
    let bob = api.user("bob", "user").await;
    for count in [3, 2] {
        api.post(&format!("{ROOT}/execute/edge"), &api.admin, json!({"newReplicaCount": count})).await.ok(202);
    }
    for cpu in [20.0, 80.0] {
        api.post(&format!("{ROOT}/metrics/edge"), &api.admin, load(cpu, 50.0, 100.0, 1.0)).await.ok(200);
    }
    let path = format!("{ROOT}/summary/edge?hoursBack=1");
    let found = async {
        loop {
            let summary = api.get(&path, &api.admin).await.ok(200);
            // Samples are written down in the background, and each figure is read on its own.
            let peak = |name: &str| summary["metrics"][name]["peak"].as_f64();
            if summary["metrics"].as_object().is_some_and(|all| all.len() == 6)
                && peak("loadScore").is_some_and(|peak| peak > 30.0)
                && peak("cpuPercent") == Some(80.0)
            {
                return summary;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let summary = tokio::time::timeout(Duration::from_secs(60), found).await.expect("samples are recorded");
    assert_eq!((&summary["proxyId"], &summary["hoursBack"]), (&json!("edge"), &json!(1)));
    let events = &summary["events"];
    assert_eq!((&events["total"], &events["byType"]), (&json!(2), &json!({"scale_up": 1, "scale_down": 1})));
    assert_eq!((&events["byTrigger"], &events["byOutcome"]), (&json!({"admin": 2}), &json!({"completed": 2})));
    assert!(events["meanDurationMs"].is_number());
    for name in ["cpuPercent", "memoryPercent", "requestRate", "averageLatencyMs", "errorRate", "loadScore"] {
        let figure = &summary["metrics"][name];
        assert!(
            figure["mean"].is_number() && figure["peak"].is_number() && figure["latest"].is_number(),
            "{name}: {summary}"
        );
        assert!(figure["trend"]["perHour"].is_number(), "{name}: {summary}");
        let word = figure["trend"]["direction"].as_str().expect("a word");
        assert!(["rising", "falling", "steady"].contains(&word), "{word}");
    }
    assert_eq!(summary["metrics"]["cpuPercent"]["peak"], 80.0);
    let whole_day = api.get(&format!("{ROOT}/summary/edge"), &api.admin).await.ok(200);
    assert_eq!(whole_day["hoursBack"], 24);
    api.get(&path, &bob).await.problem(404, "not-found");
    api.stop().await;
}

// Error handling.

#[tokio::test(flavor = "multi_thread")]
async fn throw_error_when_proxy_id_missing() {
    let api = Api::new().await;
    for route in ["policies", "metrics", "evaluate", "execute"] {
        let body = if route == "execute" { json!({"newReplicaCount": 2}) } else { load(1.0, 1.0, 1.0, 1.0) };
        let body = if matches!(route, "policies" | "evaluate") { json!({}) } else { body };
        api.post(&format!("{ROOT}/{route}/"), &api.admin, body.clone()).await.problem(404, "not-found");
        let refused = api.post(&format!("{ROOT}/{route}/%20"), &api.admin, body).await;
        assert_eq!(refused.problem(400, "invalid-request"), ["proxyId"], "{route}");
    }
    for route in ["policies", "metrics", "events", "summary"] {
        let refused = api.get(&format!("{ROOT}/{route}/%20"), &api.admin).await;
        assert_eq!(refused.problem(400, "invalid-request"), ["proxyId"], "{route}");
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throw_error_when_user_id_missing() {
    let api = with_edge(1).await;
    for (method, route) in [
        ("POST", "policies/edge"),
        ("GET", "policies/edge"),
        ("POST", "metrics/edge"),
        ("GET", "metrics/edge"),
        ("POST", "evaluate/edge"),
        ("POST", "execute/edge"),
        ("GET", "events/edge"),
        ("GET", "summary/edge"),
        ("POST", "events/edge/complete"),
    ] {
        let answer = api.call(method, &format!("{ROOT}/{route}"), None, "{}").await;
        answer.problem_of(&format!("{method} {route}"), 401, "not-authenticated");
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throw_error_when_metrics_invalid() {
    let api = with_edge(1).await;
    let path = format!("{ROOT}/metrics/edge");
    for (field, value) in [
        ("cpuPercent", json!(101)),
        ("memoryPercent", json!(-1)),
        ("requestRate", json!(-0.5)),
        ("averageLatencyMs", json!(-1)),
        ("errorRate", json!(100.5)),
        ("errorRate", json!("1")),
        ("cpuPercent", Value::Null),
        ("loadScore", json!(10)),
    ] {
        let mut metrics = load(50.0, 60.0, 500.0, 2.0);
        metrics[field] = value.clone();
        let refused = api.post(&path, &api.admin, metrics).await;
        assert_eq!(refused.problem(400, "invalid-request"), [field], "{field} {value}");
    }
    let nan = r#"{"cpuPercent":NaN,"memoryPercent":1,"requestRate":1,"averageLatencyMs":1,"errorRate":1}"#;
    api.call("POST", &path, Some(&api.admin), nan).await.problem(400, "not-json");
    api.stop().await;
}

// Beyond the seed's list.

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_without_a_load_score_is_left_alone_and_switches_stay() {
    let api = with_edge(1).await;
    let other = json!({
        "name": "other", "target_type": "deployment", "target_id": "edge", "dry_run": true, "max_replicas": 4,
        "scale_up_rules": [{"metric": "queue", "operator": "gt", "threshold": 10, "scale_by": 2}],
    });
    let other = api.policy(&api.admin, other).await;
    let path = format!("/api/v1/scaling/policies/{other}");
    let before = api.get(&path, &api.admin).await.ok(200);
    let made = set(&api, "edge", json!({"enabled": false, "dryRun": true})).await.ok(201);
    assert_eq!(api.get(&path, &api.admin).await.ok(200), before);
    let changed = set(&api, "edge", json!({"maxReplicas": 3})).await.ok(200);
    assert_eq!((&changed["id"], &changed["maxReplicas"]), (&made["id"], &json!(3)));
    assert_eq!((&changed["enabled"], &changed["dryRun"]), (&json!(false), &json!(true)), "they stay");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_for_administrators_and_the_rest_is_for_the_owner() {
    let api = Api::with_nodes(1).await;
    let (alice, bob) = (api.user("alice", "user").await, api.user("bob", "user").await);
    let edge = api.deploy(&alice, "edge", 1).await;
    for method in ["GET", "POST"] {
        let answer = api.call(method, &format!("{ROOT}/policies/edge"), Some(&alice), "{}").await;
        answer.problem_of(method, 403, "forbidden");
    }
    set(&api, &edge, json!({"maxReplicas": 3})).await.ok(201);
    api.post(&format!("{ROOT}/metrics/edge"), &alice, load(10.0, 10.0, 1.0, 0.0)).await.ok(200);
    let answer = api.call("POST", &format!("{ROOT}/evaluate/edge"), Some(&alice), "").await.ok(200);
    assert_eq!(answer["action"], "none");
    for (method, route) in [("POST", "metrics"), ("GET", "metrics"), ("POST", "evaluate"), ("GET", "events")] {
        let body = if route == "metrics" { load(1.0, 1.0, 1.0, 1.0).to_string() } else { String::new() };
        let answer = api.call(method, &format!("{ROOT}/{route}/{edge}"), Some(&bob), &body).await;
        answer.problem_of(&format!("{method} {route}"), 404, "not-found");
    }
    api.stop().await;
}
