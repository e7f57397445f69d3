//! Who may do what, over every route that there is.

use std::time::Duration;

use fogline_core::id::{SessionId, UserId};
use fogline_core::time::Timestamp;
use fogline_server::auth::{AccessTokens, Claims};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::api::{Api, PASSWORD, operations, spec};

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

/// A body that the operation would accept.
fn body_of(name: &str, deployment: &str) -> String {
    match name {
        "createDeployment" | "seedDeploy" | "explainSpec" => spec("brand-new", 1).to_string(),
        "replaceDeployment" => spec(deployment, 2).to_string(),
        "scaleDeployment" | "seedScale" | "patchDeployment" => json!({"replicas": 2}).to_string(),
        "createUser" => json!({"username": "eve", "password": PASSWORD}).to_string(),
        "patchUser" => json!({"role": "admin"}).to_string(),
        "patchNode" => json!({"cordoned": true}).to_string(),
        "createPolicy" => policy("brand-new", deployment).to_string(),
        "replacePolicy" => policy("renamed", deployment).to_string(),
        "patchPolicy" => json!({"max_replicas": 7}).to_string(),
        "pausePolicy" => json!({"for": "1h"}).to_string(),
        "backtestPolicy" => json!({
            "policy": policy("tried", deployment), "capacity": 10,
            "series": [{"at": "2026-01-28T08:00:00Z", "values": {"a": 1}}, {"at": "2026-01-28T08:01:00Z", "values": {"a": 2}}],
        })
        .to_string(),
        "pushMetrics" => json!({"samples": [{"deployment": deployment, "metric": "queue", "value": 5}]}).to_string(),
        "recordProxyMetrics" => json!({
            "cpuPercent": 50, "memoryPercent": 50, "requestRate": 10, "averageLatencyMs": 5, "errorRate": 0,
        })
        .to_string(),
        "executeProxyScaling" => json!({"newReplicaCount": 2, "reason": "more"}).to_string(),
        "completeProxyEvent" => json!({"status": "completed"}).to_string(),
        "execInReplica" => json!({"command": ["true"]}).to_string(),
        "changePassword" => json!({"current_password": PASSWORD, "new_password": "another password"}).to_string(),
        _ => String::new(),
    }
}

/// Requests that ask for something and leave everything as it is, whatever their method.
fn only_looks(method: &str, name: &str) -> bool {
    method == "GET" || ["explainSpec", "evaluatePolicy", "evaluateProxy"].contains(&name)
}

fn is_about_an_object(path: &str) -> bool {
    path.starts_with("/api/v1/deployments/{id}")
        || (path.starts_with("/api/deployment/") && path.contains("{id}"))
        || path.starts_with("/api/v1/scaling/policies/{id}")
        || (path.contains("{proxyId}") && !is_for_administrators("GET", path))
        || path == "/api/v1/metrics"
}

fn is_for_administrators(method: &str, path: &str) -> bool {
    path.starts_with("/api/v1/users")
        || path.starts_with("/api/v1/audit")
        || path.starts_with("/api/v1/proxies")
        || (path.starts_with("/api/v1/nodes") && method != "GET")
        || path.starts_with("/proxy/scaling/policies")
}

/// A policy that leaves a deployment as it is.
fn policy(name: &str, deployment: &str) -> Value {
    json!({"name": name, "target_type": "deployment", "target_id": deployment, "min_replicas": 1, "max_replicas": 5})
}

/// The path of a request about `deployment`, or about `policy` where it is about a policy.
fn filled(method: &str, path: &str, deployment: &str, policy: &str) -> String {
    let id = if path.starts_with("/api/v1/scaling/policies") { policy } else { deployment };
    let query =
        if method == "GET" && path == "/api/v1/metrics" { format!("?target=deployment:{id}") } else { String::new() };
    let filled =
        path.replace("{id}", id).replace("{proxyId}", id).replace("{replica}", NOBODY).replace("{eventId}", NOBODY);
    format!("{filled}{query}")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_answers_a_caller_without_a_valid_token() {
    let api = Api::with_nodes(1).await;
    let mine = api.deploy(&api.admin, "mine", 1).await;
    let policy = api.policy(&api.admin, policy("mine", "mine")).await;
    let key = api.shared().jwt_key.expose_secret();
    let me = api.get("/api/v1/auth/me", &api.admin).await.ok(200);
    let user: UserId = me["id"].as_str().expect("an id").parse().expect("an id");
    let session: SessionId = me["session_id"].as_str().expect("an id").parse().expect("an id");
    let now = api.shared().clock.now();
    let seconds = now.as_micros() / 1_000_000;
    let claims = || Claims {
        iss: "fogline".to_owned(),
        aud: "fogline-api".to_owned(),
        sub: user,
        sid: session,
        iat: seconds,
        exp: seconds + 600,
    };
    let signed = |algorithm: Algorithm, claims: &Claims, key: &[u8]| {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).expect("signs")
    };
    let good = signed(Algorithm::HS256, &claims(), key);
    api.get("/api/v1/auth/me", &good).await.ok(200);
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", good.split('.').nth(1).expect("claims"));
    let revoked = api.login("admin", super::api::ADMIN_PASSWORD).await;
    api.call("POST", "/api/v1/auth/logout", Some(&revoked), "").await.ok(204);
    let long_ago = Timestamp::from_micros(now.as_micros() - 3_600_000_000);
    let expired = AccessTokens::new(key, Duration::from_secs(900)).issue(user, session, long_ago).expect("signs");
    let other_user: UserId = NOBODY.parse().expect("an id");
    let tokens = [
        ("none", None),
        ("garbage", Some("garbage".to_owned())),
        ("expired", Some(expired)),
        ("alg none", Some(unsigned)),
        ("another algorithm", Some(signed(Algorithm::HS384, &claims(), key))),
        ("another audience", Some(signed(Algorithm::HS256, &Claims { aud: "other".to_owned(), ..claims() }, key))),
        ("another issuer", Some(signed(Algorithm::HS256, &Claims { iss: "other".to_owned(), ..claims() }, key))),
        ("another key", Some(signed(Algorithm::HS256, &claims(), &[0; 32]))),
        ("another user's name on it", Some(signed(Algorithm::HS256, &Claims { sub: other_user, ..claims() }, key))),
        (
            "a session that is not",
            Some(signed(Algorithm::HS256, &Claims { sid: NOBODY.parse().expect("an id"), ..claims() }, key)),
        ),
        ("revoked", Some(revoked)),
    ];
    let before = api.everything().await;
    for (method, path, name, needs_login) in operations() {
        if !needs_login {
            continue;
        }
        for (what, token) in &tokens {
            let path = filled(&method, &path, &mine, &policy);
            let answer = api.call(&method, &path, token.as_deref(), &body_of(&name, "mine")).await;
            answer.problem_of(&format!("{method} {path} with {what}"), 401, "not-authenticated");
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{method} {path}");
        }
    }
    for header in ["Basic YWRtaW46YWRtaW4xMjM=", "Bearer", &good, &format!("Token {good}")] {
        let answer = api.call_with("GET", "/api/v1/auth/me", None, &[("authorization", header)], "").await;
        answer.problem_of(header, 401, "not-authenticated");
    }
    assert_eq!(api.everything().await, before);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_looks_and_changes_nothing() {
    let api = Api::with_nodes(2).await;
    let vera = api.user("vera", "user").await;
    let own = api.deploy(&vera, "own", 1).await;
    let others = api.deploy(&api.admin, "own", 1).await;
    let own_policy = api.policy(&vera, policy("own", "own")).await;
    let others_policy = api.policy(&api.admin, policy("others", &others)).await;
    api.call("PATCH", "/api/v1/users/vera", Some(&api.admin), r#"{"role":"viewer"}"#).await.ok(200);
    api.get("/api/v1/auth/me", &vera).await.problem(401, "not-authenticated");
    let vera = api.login("vera", PASSWORD).await;
    let before = api.everything().await;
    for (method, path, name, needs_login) in operations() {
        if !needs_login || name == "logout" || name == "changePassword" {
            continue;
        }
        let asked = format!("{method} {path}");
        let filled_path = filled(&method, &path, &own, &own_policy);
        let answer = api.call(&method, &filled_path, Some(&vera), &body_of(&name, "own")).await;
        if name == "completeProxyEvent" {
            answer.problem_of(&asked, 404, "not-found");
        } else if is_for_administrators(&method, &path) || !only_looks(&method, &name) {
            answer.problem_of(&asked, 403, "forbidden");
        } else if name.contains("Log") || path.starts_with("/api/v1/nodes/") || name == "proxyMetrics" {
            assert!(matches!(answer.status, 404 | 503), "{asked}: {}", answer.text);
        } else {
            assert_eq!(answer.status, 200, "{asked}: {}", answer.text);
        }
        if is_about_an_object(&path) && name != "pushMetrics" {
            let path = filled(&method, &path, &others, &others_policy);
            let answer = api.call(&method, &path, Some(&vera), &body_of(&name, "own")).await;
            answer.problem_of(&asked, 404, "not-found");
        }
    }
    assert_eq!(api.everything().await, before);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_no_administrator_and_sees_nothing_of_others() {
    let api = Api::with_nodes(2).await;
    let (alice, bob) = (api.user("alice", "user").await, api.user("bob", "user").await);
    let hers = api.deploy(&alice, "secret-of-alice", 1).await;
    api.run(&hers).await;
    api.deploy(&bob, "bobs", 1).await;
    let policy = api.policy(&alice, policy("policy-of-alice", &hers)).await;
    let before = api.everything().await;
    for (method, path, name, needs_login) in operations() {
        let asked = format!("{method} {path}");
        if needs_login && is_for_administrators(&method, &path) {
            let path = filled(&method, &path, "node-01", NOBODY);
            let answer = api.call(&method, &path, Some(&bob), &body_of(&name, "")).await;
            answer.problem_of(&asked, 403, "forbidden");
        }
        if name == "pushMetrics" {
            // What it is about is in the body, and the answer names the field there.
            for meant in [hers.as_str(), NOBODY, "secret-of-alice"] {
                let answer = api.call(&method, &path, Some(&bob), &body_of(&name, meant)).await;
                assert_eq!(answer.problem_of(&asked, 400, "invalid-request"), ["samples[0].deployment"], "{meant}");
                assert!(!answer.text.contains(meant), "{}", answer.text);
            }
        } else if is_about_an_object(&path) {
            let (body, call) = (body_of(&name, "secret-of-alice"), async |id: &str, policy: &str, body: &str| {
                api.call(&method, &filled(&method, &path, id, policy), Some(&bob), body).await
            });
            let others = call(&hers, &policy, &body).await;
            others.problem_of(&asked, 404, "not-found");
            let nobodys = call(NOBODY, NOBODY, &body).await;
            let said = |answer: &Value| {
                let text = answer["detail"].as_str().expect("text");
                [&hers, &policy, NOBODY].iter().fold(text.to_owned(), |text, id| text.replace(*id, "ID"))
            };
            assert_eq!(said(&others.json), said(&nobodys.json), "{asked}: they must look alike");
            call("secret-of-alice", "policy-of-alice", &body).await.problem_of(&asked, 404, "not-found");
        }
    }
    let replicas = api.get(&format!("/api/v1/deployments/{hers}/replicas"), &alice).await.ok(200);
    let replica = replicas["items"][0]["id"].as_str().expect("an id");
    let bobs_log = format!("/api/v1/deployments/bobs/logs?replica={replica}");
    api.get(&bobs_log, &bob).await.problem(404, "not-found");
    api.get(&format!("/api/v1/deployments/bobs/replicas/{replica}/logs"), &bob).await.problem(404, "not-found");
    for path in [
        "/api/v1/deployments?include_deleted=true",
        "/api/deployment/list",
        "/api/v1/deployments?name=secret-of-alice",
        "/api/v1/nodes",
        "/api/v1/routes",
        "/api/v1/scaling/policies",
        "/api/v1/scaling/policies?name=policy-of-alice",
        "/api/v1/scaling/history",
        "/metrics",
    ] {
        let text = api.get(path, &bob).await.text;
        assert!(!text.contains("secret-of-alice") && !text.contains(&hers), "{path}: {text}");
        assert!(!text.contains(&policy), "{path}: {text}");
    }
    assert_eq!(api.everything().await, before);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_was_not_allowed_to_do_is_in_the_audit_log() {
    let api = Api::with_nodes(1).await;
    let bob = api.user("bob", "viewer").await;
    api.post("/api/v1/deployments", &bob, spec("web", 1)).await.problem(403, "forbidden");
    let log = api.get("/api/v1/audit", &api.admin).await.ok(200);
    let line = &log["items"][0];
    assert_eq!((&line["actor_name"], &line["action"]), (&json!("bob"), &json!("deployment.create")));
    assert_eq!(line["outcome"], "forbidden");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_without_end_waits_and_fills_no_audit_log() {
    let api = Api::with_nodes(1).await;
    let bob = api.user("bob", "user").await;
    let mine = api.deploy(&bob, "mine", 1).await;
    let path = format!("/api/v1/deployments/{NOBODY}");
    let lines = async || {
        let log = api.get("/api/v1/audit?limit=200", &api.admin).await.ok(200);
        let items = log["items"].as_array().expect("a list");
        items.iter().filter(|line| line["outcome"] == "not-found").count()
    };
    let mut refused = 0;
    let late = loop {
        let answer = api.call("DELETE", &path, Some(&bob), "").await;
        if answer.status != 404 {
            break answer;
        }
        refused += 1;
        assert!(refused <= 60, "it goes on and on");
    };
    late.problem(429, "too-many-requests");
    let wait: u64 = late.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(lines().await, 60);
    let own = api.post(&format!("/api/v1/deployments/{mine}/scale"), &bob, json!({"replicas": 2})).await;
    own.problem(429, "too-many-requests");
    api.get(&format!("/api/v1/deployments/{mine}"), &bob).await.ok(200);
    api.call("DELETE", &path, Some(&api.admin), "").await.problem(404, "not-found");
    assert_eq!(lines().await, 61);
    api.stop().await;
}
