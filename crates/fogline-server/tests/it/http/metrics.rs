//! Samples that are pushed over HTTP: what is taken, what is refused, and how it is shown.

use serde_json::{Value, json};

use super::api::Api;

const POLICIES: &str = "/api/v1/scaling/policies";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_is_shown_with_source_and_age() {
    let api = Api::with_nodes(1).await;
    let alice = api.user("alice", "user").await;
    let web = api.deploy(&alice, "web", 1).await;
    let worker =
        api.post(POLICIES, &alice, json!({"name": "lag", "target_type": "cdc-worker", "target_id": "7"})).await;
    let worker = worker.ok(201)["resolved_target"].as_str().expect("a target").to_owned();
    let samples = json!({"samples": [
        {"deployment": "web", "metric": "queue", "value": 3.5},
        {"deployment": web, "metric": "cpu_percent", "value": 71},
        {"target": "cdc-worker:7", "metric": "lag", "value": 60, "stale_after": "10m"},
        {"target": worker, "metric": "lag", "value": 61},
    ]});
    let answer = api.post("/api/v1/metrics", &alice, samples).await.ok(202);
    assert_eq!(answer, json!({"accepted": 4, "targets": 2}));
    let shown = api.get("/api/v1/metrics?target=deployment:web", &alice).await.ok(200);
    assert_eq!(shown["target"], format!("deployment:{web}"));
    let named = |name: &str| {
        let metrics = shown["metrics"].as_array().expect("a list");
        metrics.iter().find(|one| one["metric"] == name).cloned().unwrap_or_else(|| panic!("no {name} in {shown}"))
    };
    assert_eq!((&named("queue")["value"], &named("queue")["outcome"]), (&json!(3.5), &json!("value")));
    assert_eq!((&named("cpu_percent")["source"], &named("cpu_percent")["value"]), (&json!("push"), &json!(71.0)));
    assert!(named("queue")["age_s"].as_f64().is_some_and(|age| age < 60.0));
    let shown = api.get(&format!("/api/v1/metrics?target={worker}"), &alice).await.ok(200);
    assert_eq!((&shown["metrics"][0]["metric"], &shown["metrics"][0]["value"]), (&json!("lag"), &json!(61.0)));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_counts_whole_or_not_at_all() {
    let api = Api::with_nodes(1).await;
    api.deploy(&api.admin, "web", 1).await;
    let good = json!({"deployment": "web", "metric": "queue", "value": 1});
    let mut samples = vec![good.clone(); 4];
    samples[1]["deployment"] = json!("nothing");
    samples[3]["metric"] = json!("");
    let refused = api.post("/api/v1/metrics", &api.admin, json!({"samples": samples})).await;
    assert_eq!(refused.problem(400, "invalid-request"), ["samples[3].metric", "samples[1].deployment"]);
    let shown = api.get("/api/v1/metrics?target=deployment:web", &api.admin).await.ok(200);
    assert!(!shown.to_string().contains("queue"), "{shown}");
    let mut old = good.clone();
    old["at"] = json!(fogline_core::time::Timestamp::from_micros(api.shared().clock.now().as_micros() - 3_700_000_000));
    let refused = api.post("/api/v1/metrics", &api.admin, json!({"samples": [old]})).await;
    assert_eq!(refused.problem(400, "invalid-request"), ["samples[0].at"]);
    // One series more than a target may have: nothing of it counts.
    let named = |number: usize| json!({"deployment": "web", "metric": format!("m-{number}"), "value": 1});
    let samples: Vec<Value> = (0..257).map(named).collect();
    let refused = api.post("/api/v1/metrics", &api.admin, json!({"samples": samples})).await;
    assert_eq!(refused.problem(400, "invalid-request"), ["samples[256].metric"]);
    let shown = api.get("/api/v1/metrics?target=deployment:web", &api.admin).await.ok(200);
    assert!(!shown.to_string().contains("m-0"), "{shown}");
    let many = |count| json!({"samples": vec![good.clone(); count]});
    assert_eq!(api.post("/api/v1/metrics", &api.admin, many(1_000)).await.ok(202)["accepted"], 1_000);
    let refused = api.post("/api/v1/metrics", &api.admin, many(1_001)).await;
    assert_eq!(refused.problem(400, "invalid-request"), ["samples"]);
    // A minute has room for 20,000, of which 1,262 are gone.
    for _ in 0..18 {
        api.post("/api/v1/metrics", &api.admin, many(1_000)).await.ok(202);
    }
    let refused = api.post("/api/v1/metrics", &api.admin, many(1_000)).await;
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| (1..=60).contains(&seconds)));
    refused.problem(429, "too-many-requests");
    api.stop().await;
}
