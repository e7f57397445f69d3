//! Scaling policies over HTTP: written, changed, tried, paused; what they decided; what was measured.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::Api;
use crate::scaling::world::until;

const POLICIES: &str = "/api/v1/scaling/policies";

/// The example of SCALE-001, to the letter.
const EXAMPLE: &str = include_str!("../../../../../examples/scaling/cdc-worker.json");

/// One that goes to the log only, so that a test can look at what it would do.
fn dry(name: &str, deployment: &str) -> Value {
    json!({
        "name": name, "target_type": "deployment", "target_id": deployment, "min_replicas": 1, "max_replicas": 9,
        "dry_run": true,
        "scale_up_rules": [{"metric": "queue", "operator": "gt", "threshold": 10, "scale_by": 2}],
    })
}

fn sample(deployment: &str, value: f64) -> Value {
    json!({"samples": [{"deployment": deployment, "metric": "queue", "value": value}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_scale_001_work_to_the_letter() {
    let api = Api::new().await;
    let form = [("content-type", "application/json")];
    let answer = api.call_with("POST", POLICIES, Some(&api.admin), &form, EXAMPLE).await;
    let id = answer.json["id"].as_str().expect("an id").to_owned();
    assert_eq!(answer.header("location"), format!("{POLICIES}/{id}"));
    assert_eq!(answer.header("etag"), "\"1\"");
    let policy = answer.ok(201);
    let asked: Value = serde_json::from_str(EXAMPLE).expect("JSON");
    for field in
        ["name", "target_type", "target_id", "min_replicas", "max_replicas", "cooldown_seconds", "scale_to_zero"]
    {
        assert_eq!(policy[field], asked[field], "{field}");
    }
    assert_eq!(policy["enabled"], true);
    for rules in ["scale_up_rules", "scale_down_rules"] {
        assert_eq!(policy[rules][0]["threshold"], asked[rules][0]["threshold"].as_f64().expect("a number"));
        for field in ["metric", "operator", "duration", "scale_by"] {
            assert_eq!(policy[rules][0][field], asked[rules][0][field], "{rules} {field}");
        }
    }
    for field in ["cron_expression", "desired_replicas", "timezone"] {
        assert_eq!(policy["schedules"][0][field], asked["schedules"][0][field], "{field}");
    }
    for field in ["created_at", "updated_at"] {
        assert!(policy[field].as_str().is_some_and(|time| time.ends_with('Z')), "{field}");
    }
    assert_eq!((&policy["version"], &policy["executor"]), (&json!(1), &json!("none")));
    assert_eq!(api.get(&format!("{POLICIES}/{id}"), &api.admin).await.ok(200), policy);
    assert_eq!(api.get(&format!("{POLICIES}/cdc-worker-autoscaling"), &api.admin).await.ok(200), policy);

    // The document's own curl, with its four fields.
    let minimal = r#"{"name":"test-policy","target_type":"cdc-worker","min_replicas":1,"max_replicas":5}"#;
    let policy = api.call_with("POST", POLICIES, Some(&api.admin), &form, minimal).await.ok(201);
    for (field, value) in [
        ("name", json!("test-policy")),
        ("target_type", json!("cdc-worker")),
        ("target_id", Value::Null),
        ("min_replicas", json!(1)),
        ("max_replicas", json!(5)),
        ("cooldown_seconds", Value::Null),
        ("scale_to_zero", json!(false)),
        ("enabled", json!(true)),
        ("scale_up_rules", json!([])),
        ("scale_down_rules", json!([])),
        ("schedules", json!([])),
    ] {
        assert_eq!(policy.get(field), Some(&value), "{field}");
    }
    let list = api.get(POLICIES, &api.admin).await.ok(200);
    let names: Vec<&str> =
        list["items"].as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["cdc-worker-autoscaling", "test-policy"]);
    api.call("DELETE", &format!("{POLICIES}/test-policy"), Some(&api.admin), "").await.ok(204);
    api.get(&format!("{POLICIES}/test-policy"), &api.admin).await.problem(404, "not-found");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn put_replaces_patch_changes_and_versions_are_kept() {
    let api = Api::new().await;
    api.post(POLICIES, &api.admin, serde_json::from_str(EXAMPLE).expect("JSON")).await.ok(201);
    let path = format!("{POLICIES}/cdc-worker-autoscaling");
    let patch = json!({"max_replicas": 20, "cooldown_seconds": null, "scale_down": {"stabilization": 600}});
    let patched = api.call("PATCH", &path, Some(&api.admin), &patch.to_string()).await;
    assert_eq!(patched.header("etag"), "\"2\"");
    let patched = patched.ok(200);
    assert_eq!((&patched["max_replicas"], &patched["cooldown_seconds"]), (&json!(20), &Value::Null));
    assert_eq!(patched["scale_down"]["stabilization"], "10m");
    assert_eq!(patched["scale_up_rules"][0]["duration"], "5m", "what was not named stays");
    let refused = api.call("PATCH", &path, Some(&api.admin), r#"{"version": 9}"#).await;
    assert_eq!(refused.problem(400, "invalid-request"), ["version"]);
    let same = api.call("PATCH", &path, Some(&api.admin), r#"{"max_replicas": 20}"#).await.ok(200);
    assert_eq!(same["version"], 2, "nothing has changed");

    let spec = json!({
        "name": "cdc-worker-autoscaling", "target_type": "cdc-worker",
        "target_id": "550e8400-e29b-41d4-a716-446655440000", "max_replicas": 6,
    });
    let stale = [("if-match", "\"1\"")];
    let refused = api.call_with("PUT", &path, Some(&api.admin), &stale, &spec.to_string()).await;
    refused.problem(412, "precondition-failed");
    let refused = api.call_with("PATCH", &path, Some(&api.admin), &stale, r#"{"max_replicas": 3}"#).await;
    refused.problem(412, "precondition-failed");
    let refused = api.call_with("PUT", &path, Some(&api.admin), &[("if-match", "newest")], &spec.to_string()).await;
    assert_eq!(refused.problem(400, "invalid-request"), ["If-Match"]);
    let fresh = [("if-match", "\"2\"")];
    let replaced = api.call_with("PUT", &path, Some(&api.admin), &fresh, &spec.to_string()).await.ok(200);
    assert_eq!((&replaced["version"], &replaced["max_replicas"]), (&json!(3), &json!(6)));
    assert_eq!((&replaced["scale_up_rules"], &replaced["schedules"]), (&json!([]), &json!([])), "all of it");

    let versions = api.get(&format!("{path}/versions?limit=2"), &api.admin).await.ok(200);
    let numbers = |page: &Value| -> Vec<u64> {
        page["items"].as_array().expect("a list").iter().filter_map(|one| one["version"].as_u64()).collect()
    };
    assert_eq!(numbers(&versions), [3, 2]);
    assert_eq!(versions["items"][1]["spec"]["max_replicas"], 20);
    let next = versions["next"].as_str().expect("there is one more");
    let rest = api.get(&format!("{path}/versions?limit=2&cursor={next}"), &api.admin).await.ok(200);
    assert_eq!((numbers(&rest), &rest["next"]), (vec![1], &Value::Null));
    assert_eq!(rest["items"][0]["spec"]["cooldown_seconds"], 300);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_repeated_with_its_key_is_made_once() {
    let api = Api::new().await;
    let key = [("idempotency-key", "one")];
    let post = async |body: &str| api.call_with("POST", POLICIES, Some(&api.admin), &key, body).await;
    let first = post(EXAMPLE).await;
    let again = post(EXAMPLE).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.ok(201)["id"], again.ok(201)["id"]);
    post(&EXAMPLE.replace("300", "301")).await.problem(409, "idempotency-key-reused");
    let path = format!("{POLICIES}/cdc-worker-autoscaling");
    for _ in 0..2 {
        let key = [("idempotency-key", "two")];
        api.call_with("DELETE", &path, Some(&api.admin), &key, "").await.ok(204);
    }
    api.call("DELETE", &path, Some(&api.admin), "").await.problem(404, "not-found");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_allows_so_many_policies() {
    let api = Api::new().await;
    let body = json!({"username": "fred", "password": super::api::PASSWORD, "tier": "free"});
    api.post("/api/v1/users", &api.admin, body).await.ok(201);
    let fred = api.login("fred", super::api::PASSWORD).await;
    let policy = |name: &str| json!({"name": name, "target_type": "cdc-worker"});
    api.post(POLICIES, &fred, policy("first")).await.ok(201);
    api.post(POLICIES, &fred, policy("second")).await.problem(403, "quota-exceeded");
    api.post(POLICIES, &api.admin, policy("first")).await.ok(201);
    let own = api.get(POLICIES, &fred).await.ok(200);
    assert_eq!(own["items"].as_array().map(Vec::len), Some(1));
    let all = api.get(&format!("{POLICIES}?name=first"), &api.admin).await.ok(200);
    assert_eq!(all["items"].as_array().map(Vec::len), Some(2));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_sees_what_an_administrator_has_put_on_their_deployment() {
    let api = Api::with_nodes(1).await;
    let (alice, bob) = (api.user("alice", "user").await, api.user("bob", "user").await);
    let web = api.deploy(&alice, "web", 1).await;
    let id = api.policy(&api.admin, dry("for-alice", &web)).await;
    let target = format!("{POLICIES}?target=deployment:web");
    let list = api.get(&target, &alice).await.ok(200);
    assert_eq!(list["items"][0]["id"], id.as_str());
    assert_eq!(list["items"][0]["resolved_target"], format!("deployment:{web}"));
    api.get(&format!("{POLICIES}/{id}"), &alice).await.ok(200);
    api.post(&format!("{POLICIES}/{id}/pause"), &alice, json!({"for": "1h"})).await.ok(200);
    api.get(&format!("{POLICIES}/{id}"), &bob).await.problem(404, "not-found");
    api.get(&target, &bob).await.problem(404, "not-found");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_administrator_any_more_has_no_say_on_the_deployments_of_others() {
    let api = Api::with_nodes(1).await;
    let (alice, eve) = (api.user("alice", "user").await, api.user("eve", "admin").await);
    api.deploy(&alice, "web", 1).await;
    let web = api.deploy(&eve, "eves", 1).await;
    let hers = api.policy(&eve, dry("on-her-own", &web)).await;
    let web = api.get("/api/v1/deployments/web", &alice).await.ok(200)["id"].as_str().expect("an id").to_owned();
    let id = api.policy(&eve, dry("for-alice", &web)).await;
    let users = api.get("/api/v1/users", &api.admin).await.ok(200);
    let of_eve = users["items"].as_array().expect("a list").iter().find(|user| user["username"] == "eve");
    let of_eve = format!("/api/v1/users/{}", of_eve.expect("eve")["id"].as_str().expect("an id"));
    api.call("PATCH", &of_eve, Some(&api.admin), r#"{"role": "user"}"#).await.ok(200);
    let eve = api.login("eve", super::api::PASSWORD).await;
    for which in [id.as_str(), "for-alice"] {
        let path = format!("{POLICIES}/{which}");
        api.get(&path, &eve).await.problem(404, "not-found");
        api.get(&format!("{path}/decisions"), &eve).await.problem(404, "not-found");
        api.call("DELETE", &path, Some(&eve), "").await.problem(404, "not-found");
    }
    let list = api.get(POLICIES, &eve).await.ok(200);
    assert_eq!((list["items"].as_array().map(Vec::len), &list["items"][0]["id"]), (Some(1), &json!(hers)), "{list}");
    api.get(&format!("{POLICIES}/{id}"), &alice).await.ok(200);
    api.call("DELETE", &format!("{POLICIES}/{id}"), Some(&alice), "").await.ok(204);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_tells_what_would_be_done_and_does_nothing() {
    let api = Api::with_nodes(2).await;
    let web = api.deploy(&api.admin, "web", 1).await;
    api.run(&web).await;
    api.policy(&api.admin, dry("queue", "web")).await;
    let path = format!("{POLICIES}/queue/evaluate");
    let blind = api.post(&path, &api.admin, json!({})).await.ok(200);
    assert_eq!((&blind["should_scale"], &blind["action"]), (&json!(false), &json!("hold")), "{blind}");
    assert_eq!(blind["inputs"][0]["outcome"], "missing");

    api.post("/api/v1/metrics", &api.admin, sample("web", 50.0)).await.ok(202);
    let before = api.get("/api/v1/deployments", &api.admin).await.ok(200);
    let would = api.call("POST", &path, Some(&api.admin), "").await.ok(200);
    assert_eq!((&would["should_scale"], &would["action"]), (&json!(true), &json!("scale_up")), "{would}");
    assert_eq!((&would["current"], &would["replicas"]), (&json!(1), &json!(3)));
    assert_eq!((&would["inputs"][0]["source"], &would["inputs"][0]["value"]), (&json!("push"), &json!(50.0)));
    assert!(
        !would["steps"].as_array().expect("steps").is_empty() && !would["votes"].as_array().expect("votes").is_empty()
    );

    let mut draft = dry("queue", "web");
    draft["max_replicas"] = json!(2);
    let would = api.post(&path, &api.admin, draft).await.ok(200);
    assert_eq!(would["replicas"], 2, "the draft's bounds: {would}");
    let stays = api.get(&format!("{POLICIES}/queue"), &api.admin).await.ok(200);
    assert_eq!(stays["max_replicas"], 9);
    assert_eq!(api.get("/api/v1/deployments", &api.admin).await.ok(200), before);
    // A draft is no look: it has sources asked.
    let vera = api.user("vera", "user").await;
    let own = api.deploy(&vera, "own", 1).await;
    api.policy(&vera, dry("own", &own)).await;
    let users = api.get("/api/v1/users", &api.admin).await.ok(200);
    let of_vera = users["items"].as_array().expect("a list").iter().find(|user| user["username"] == "vera");
    let of_vera = format!("/api/v1/users/{}", of_vera.expect("vera")["id"].as_str().expect("an id"));
    api.call("PATCH", &of_vera, Some(&api.admin), r#"{"role": "viewer"}"#).await.ok(200);
    let vera = api.login("vera", super::api::PASSWORD).await;
    let of_own = format!("{POLICIES}/own/evaluate");
    api.call("POST", &of_own, Some(&vera), "").await.ok(200);
    api.post(&of_own, &vera, dry("own", &own)).await.problem(403, "forbidden");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_and_history_tell_what_happened_each_thing_once() {
    let api = Api::with(|config| config.evaluation_interval = Duration::from_millis(200)).await;
    api.declare_nodes(3).await;
    let bob = api.user("bob", "user").await;
    let web = api.deploy(&api.admin, "web", 1).await;
    api.run(&web).await;
    let id = api.policy(&api.admin, dry("queue", "web")).await;
    api.post("/api/v1/metrics", &api.admin, sample("web", 50.0)).await.ok(202);
    let history = "/api/v1/scaling/history";
    let would = until("the dry run's line", async || {
        let page = api.get(&format!("{history}?policy=queue"), &api.admin).await.ok(200);
        page["items"].as_array()?.first().cloned()
    })
    .await;
    for (field, value) in [
        ("policy_id", json!(id)),
        ("policy_name", json!("queue")),
        ("action", json!("scale_up")),
        ("target_type", json!("deployment")),
        ("target_id", json!("web")),
        ("previous_replicas", json!(1)),
        ("new_replicas", json!(3)),
        ("dry_run", json!(true)),
        ("trigger", json!("auto")),
        ("status", json!("completed")),
    ] {
        assert_eq!(would[field], value, "{field} of {would}");
    }
    assert!(would["reason"].as_str().is_some_and(|reason| reason.contains("queue")), "{would}");
    assert!(would["executed_at"].as_str().is_some());
    assert_eq!(api.get(&format!("/api/v1/deployments/{web}"), &api.admin).await.ok(200)["target_replicas"], 1);

    api.post("/proxy/scaling/execute/web", &api.admin, json!({"newReplicaCount": 2})).await.ok(202);
    let real = api.get(&format!("{history}?dry_run=false"), &api.admin).await.ok(200);
    assert_eq!((&real["items"][0]["trigger"], &real["items"][0]["new_replicas"]), (&json!("admin"), &json!(2)));
    assert_eq!(real["items"].as_array().map(Vec::len), Some(1), "{real}");
    assert_eq!(api.get(history, &bob).await.ok(200)["items"], json!([]), "nothing of others");

    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/deployments/web/decisions?limit=3{cursor}");
        let page = api.get(&path, &api.admin).await.ok(200);
        for one in page["items"].as_array().expect("a list") {
            seen.push((one["at"].as_str().expect("a time").to_owned(), one["run"].to_string()));
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert!(seen.len() >= 2, "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[0].0 >= pair[1].0), "newest first: {seen:?}");
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), seen.len(), "each once: {seen:?}");
    let of_policy = api.get(&format!("{POLICIES}/queue/decisions?limit=200"), &api.admin).await.ok(200);
    let of_policy = of_policy["items"].as_array().expect("a list").clone();
    assert!(of_policy.iter().any(|one| one["dry_run"] == true && one["id"].is_string()), "{of_policy:?}");
    assert!(of_policy.iter().all(|one| one["policies"][0]["name"] == "queue"));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_previewed_in_its_own_time_zone() {
    let api = Api::new().await;
    api.call("POST", POLICIES, Some(&api.admin), EXAMPLE).await.ok(201);
    let path = format!("{POLICIES}/cdc-worker-autoscaling/schedule");
    let answer = api.get(&format!("{path}?n=3"), &api.admin).await.ok(200);
    let transitions = answer["transitions"].as_array().expect("a list").clone();
    assert_eq!(transitions.len(), 3);
    for one in &transitions {
        assert_eq!((&one["kind"], &one["desired_replicas"]), (&json!("set"), &json!(5)));
        let at = one["at"].as_str().expect("a time");
        // Eight in Budapest is seven or six in UTC.
        assert!(at.contains("T07:00:00") || at.contains("T06:00:00"), "{at}");
    }
    assert_eq!(api.get(&path, &api.admin).await.ok(200)["transitions"].as_array().map(Vec::len), Some(20));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_by_itself_or_by_hand() {
    let api = Api::new().await;
    api.call("POST", POLICIES, Some(&api.admin), EXAMPLE).await.ok(201);
    let path = format!("{POLICIES}/cdc-worker-autoscaling/pause");
    let paused = api.post(&path, &api.admin, json!({"for": "2h"})).await.ok(200);
    assert!(paused["paused_until"].is_string(), "{paused}");
    assert_eq!(paused["version"], 1, "a pause is no new version");
    let list = api.get(POLICIES, &api.admin).await.ok(200);
    assert_eq!(list["items"][0]["paused_until"], paused["paused_until"]);
    let resumed = api.call("DELETE", &path, Some(&api.admin), "").await.ok(200);
    assert_eq!(resumed["paused_until"], Value::Null);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_tried_on_a_series_that_comes_along_or_was_recorded() {
    let api = Api::with_nodes(1).await;
    let bob = api.user("bob", "user").await;
    api.deploy(&api.admin, "web", 1).await;
    let policy = json!({
        "name": "web", "target_type": "deployment", "target_id": "web", "dry_run": true, "max_replicas": 9,
        "targets": [{"metric": "request_rate", "target": 100}],
    });
    let row = |minute: u32, rate: u32| json!({"at": format!("2026-01-28T08:{minute:02}:00Z"), "values": {"request_rate": rate}});
    let series: Vec<Value> = (0..30).map(|minute| row(minute, if minute < 10 { 90 } else { 450 })).collect();
    let path = "/api/v1/scaling/backtest";
    let body = json!({"policy": policy, "series": series, "interval": "15s", "start_time": 30});
    let vera = api.user("vera", "viewer").await;
    api.post(path, &vera, body.clone()).await.problem(403, "forbidden");
    let answer = api.post(path, &bob, body).await.ok(200);
    assert_eq!((&answer["load"], &answer["capacity"]), (&json!("request_rate"), &json!(100.0)));
    assert_eq!(answer["policy"]["name"], "web");
    assert!(answer["policy"]["changes"][0]["to"].as_u64().is_some_and(|to| to > 1), "{}", answer["policy"]["changes"]);
    for run in ["policy", "fixed", "hpa"] {
        assert!(answer[run]["figures"]["replica_hours"].as_f64().is_some_and(|hours| hours > 0.0), "{run}");
        assert!(answer[run]["moments"].as_array().is_some_and(|all| (2..=2_000).contains(&all.len())), "{run}");
    }

    let id = api.policy(&api.admin, policy).await;
    api.post(path, &bob, json!({"policy_id": id, "series": series})).await.problem(404, "not-found");
    let answer = api.post(path, &api.admin, json!({"policy_id": id, "series": series, "capacity": 50})).await.ok(200);
    assert_eq!(answer["capacity"], 50.0);

    let now = api.shared().clock.now().as_micros();
    let samples: Vec<Value> = (0..20_i64)
        .map(|index| {
            let at = fogline_core::time::Timestamp::from_micros(now - (20 - index) * 60_000_000);
            json!({"deployment": "web", "metric": "request_rate", "value": 50 + index * 20, "at": at})
        })
        .collect();
    api.post("/api/v1/metrics", &api.admin, json!({"samples": samples})).await.ok(202);
    let body = json!({"policy_id": id, "recorded": {"step": "1m"}});
    let answer = until("the recorded series", async || {
        let answer = api.post(path, &api.admin, body.clone()).await;
        (answer.status == 200).then_some(answer.json)
    })
    .await;
    assert_eq!(answer["load"], "request_rate");
    api.stop().await;
}
