//! Bad input: a clear error, and nothing has changed.

use serde_json::{Value, json};

use super::api::{Api, spec};

/// Method, path, body, status, kind of problem, field at fault (empty for none).
type Row = (&'static str, &'static str, String, u16, &'static str, &'static str);

fn with(field: &str, value: Value) -> String {
    let mut spec = spec("new", 1);
    spec[field] = value;
    spec.to_string()
}

fn with_resource(field: &str, value: &str) -> String {
    let resources = ["cpu", "memory", "gpu", "storage"].map(|name| {
        let plain = if name == "cpu" { "1" } else { "1024" };
        let plain = if name == "gpu" || name == "storage" { "1" } else { plain };
        format!("\"{name}\":{}", if name == field { value } else { plain })
    });
    format!(
        "{{\"name\":\"new\",\"runtime\":\"process\",\"command\":[\"serve\"],\"resources\":{{{}}}}}",
        resources.join(",")
    )
}

fn specs() -> Vec<(String, &'static str, &'static str)> {
    let invalid = "invalid-request";
    let bomb = format!("{{\"name\":{}1{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let bomb_inside = format!("{{\"env\":{}1{}}}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    let mut no_name = spec("new", 1);
    no_name.as_object_mut().expect("an object").remove("name");
    vec![
        (String::new(), "not-json", ""),
        ("name=new".to_owned(), "not-json", "body"),
        ("<deploy/>".to_owned(), "not-json", "body"),
        ("{".to_owned(), "not-json", "body"),
        ("\u{0}".to_owned(), "not-json", "body"),
        ("[]".to_owned(), invalid, "body"),
        ("null".to_owned(), invalid, "body"),
        ("\"new\"".to_owned(), invalid, "body"),
        (bomb, invalid, "name"),
        (bomb_inside, invalid, "env.a"),
        (with("env", json!({"A".repeat(100_000): 1})), invalid, ""),
        (with("env", json!({"A".repeat(100_000): "x"})), invalid, ""),
        (with(&"f".repeat(100_000), json!(1)), invalid, ""),
        (format!("{}x", spec("new", 1)), "not-json", "body"),
        (no_name.to_string(), invalid, "name"),
        (with("name", json!("")), invalid, "name"),
        (with("name", json!("n".repeat(101))), invalid, "name"),
        (with("name", json!("two words")), invalid, "name"),
        (with("name", json!("../etc/passwd")), invalid, "name"),
        (with("name", json!("<script>alert(1)</script>")), invalid, "name"),
        (with("name", json!(5)), invalid, "name"),
        (with("name", json!(null)), invalid, "name"),
        (with("name", json!("taken")), "name-taken", ""),
        (with("type", json!("")), invalid, "type"),
        (with("container_image", json!("i".repeat(501))), invalid, "container_image"),
        (with("container_image", json!("two words")), invalid, "container_image"),
        (with("replicas", json!(0)), invalid, "replicas"),
        (with("replicas", json!(-1)), invalid, "replicas"),
        (with("replicas", json!(101)), invalid, "replicas"),
        (with("replicas", json!(2.5)), invalid, "replicas"),
        (with("replicas", json!("3")), invalid, "replicas"),
        (with("replicas", json!(u64::MAX)), invalid, "replicas"),
        (with_resource("cpu", "0.4"), invalid, "resources.cpu"),
        (with_resource("cpu", "32.001"), invalid, "resources.cpu"),
        (with_resource("cpu", "-1"), invalid, "resources.cpu"),
        (with_resource("cpu", "NaN"), "not-json", "resources.cpu"),
        (with_resource("cpu", "Infinity"), "not-json", "resources.cpu"),
        (with_resource("cpu", "1e999"), "not-json", "resources.cpu"),
        (with_resource("cpu", "1e300"), invalid, "resources.cpu"),
        (with_resource("cpu", "0.50001"), invalid, "resources.cpu"),
        (with_resource("cpu", "\"2\""), invalid, "resources.cpu"),
        (with_resource("memory", "511"), invalid, "resources.memory"),
        (with_resource("memory", "65537"), invalid, "resources.memory"),
        (with_resource("memory", "1024.5"), invalid, "resources.memory"),
        (with_resource("memory", "99999999999999999999"), invalid, "resources.memory"),
        (with_resource("gpu", "9"), invalid, "resources.gpu"),
        (with_resource("gpu", "-1"), invalid, "resources.gpu"),
        (with_resource("storage", "0"), invalid, "resources.storage"),
        (with_resource("storage", "1001"), invalid, "resources.storage"),
        (with("resources", json!({"cpu": 1, "memory": 512, "swap": 1})), invalid, "resources.swap"),
        (with("resources", json!({"cpu": 1})), invalid, "resources.memory"),
        (with("runtime", json!("vm")), invalid, "runtime"),
        (with("command", json!([])), invalid, "command"),
        (with("command", json!("serve 80")), invalid, "command"),
        (with("command", json!(["serve", "\u{0}"])), invalid, "command[1]"),
        (with("command", json!(vec!["x"; 257])), invalid, "command"),
        (with("env", json!({"PORT": "80"})), invalid, "env.PORT"),
        (with("env", json!({"A=B": "1"})), invalid, "env.A=B"),
        (with("env", json!({"A": 1})), invalid, "env.A"),
        (with("port", json!(0)), invalid, "port"),
        (with("port", json!(65_536)), invalid, "port"),
        (with("host_port", json!(80)), invalid, "host_port"),
        (with("working_dir", json!("relative")), invalid, "working_dir"),
        (with("health", json!({"type": "http", "path": "no-slash"})), invalid, "health.path"),
        (with("health", json!({"type": "http", "timeout_s": 0})), invalid, "health.timeout_s"),
        (with("grace_s", json!(3_601)), invalid, "grace_s"),
        // Fields that are not the caller's to set.
        (with("user_id", json!("00000000-0000-7000-8000-000000000000")), invalid, "user_id"),
        (with("status", json!("running")), invalid, "status"),
        (with("tier", json!("enterprise")), invalid, "tier"),
        (with("id", json!("00000000-0000-7000-8000-000000000000")), invalid, "id"),
    ]
}

fn rows(mine: &'static str) -> Vec<Row> {
    let invalid = "invalid-request";
    let mut rows: Vec<Row> = Vec::new();
    for (body, kind, field) in specs() {
        let status = if kind == "name-taken" { 409 } else { 400 };
        for path in ["/api/v1/deployments", "/api/deployment/deploy"] {
            rows.push(("POST", path, body.clone(), status, kind, field));
        }
        if kind != "name-taken" {
            rows.push(("POST", "/api/v1/deployments/explain", body.clone(), status, kind, field));
            rows.push(("PUT", mine, body, status, kind, field));
        }
    }
    let huge = format!("{{\"name\":\"{}\"}}", "a".repeat(1024 * 1024));
    for (method, path) in [
        ("POST", "/api/v1/deployments"),
        ("POST", "/api/deployment/deploy"),
        ("PUT", mine),
        ("PATCH", mine),
        ("POST", "/api/v1/scaling/policies"),
        ("PUT", "/api/v1/scaling/policies/taken"),
        ("PATCH", "/api/v1/scaling/policies/taken"),
        ("POST", "/api/v1/scaling/policies/taken/pause"),
        ("POST", "/api/v1/scaling/policies/taken/evaluate"),
        ("POST", "/api/v1/scaling/backtest"),
        ("POST", "/api/v1/metrics"),
        ("POST", "/proxy/scaling/policies/taken"),
        ("POST", "/proxy/scaling/metrics/taken"),
        ("POST", "/proxy/scaling/evaluate/taken"),
        ("POST", "/proxy/scaling/execute/taken"),
    ] {
        rows.push((method, path, huge.clone(), 413, "too-large", ""));
    }
    rows.push(("POST", "/api/auth/login", huge, 413, "too-large", ""));
    for (body, kind, field) in [
        ("{}", invalid, "username"),
        (r#"{"username":"admin"}"#, invalid, "password"),
        (r#"{"username":"admin","password":5}"#, invalid, "password"),
        (r#"{"username":"admin","password":"x","role":"admin"}"#, invalid, "role"),
        ("username=admin&password=admin123", "not-json", "body"),
    ] {
        rows.push(("POST", "/api/auth/login", body.to_owned(), 400, kind, field));
        rows.push(("POST", "/api/v1/auth/login", body.to_owned(), 400, kind, field));
    }
    for (body, field) in [
        (r#"{"name":"other"}"#, "name"),
        (r#"{"replicas":0}"#, "replicas"),
        (r#"{"resources":{"cpu":64}}"#, "resources.cpu"),
        (r#"{"user_id":"x"}"#, "user_id"),
        (r#"{"command":null}"#, "command"),
        ("[]", "body"),
        ("[[[[[[[[", "body"),
    ] {
        rows.push(("PATCH", mine, body.to_owned(), 400, invalid, field));
    }
    let bomb = format!("{{\"env\":{}1{}}}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    rows.push(("PATCH", mine, bomb, 400, "not-json", ""));
    let deep = format!("{{\"resources\":{}1{}}}", "{\"a\":".repeat(100), "}".repeat(100));
    rows.push(("PATCH", mine, deep, 400, invalid, "body"));
    for (body, field) in [
        (r#"{"username":"two words","password":"long enough"}"#, "username"),
        (r#"{"username":"new","password":"short"}"#, "password"),
        (r#"{"username":"new","password":"long enough","role":"root"}"#, "role"),
        (r#"{"username":"new","password":"long enough","id":"x"}"#, "id"),
        (r#"{"username":"new","password":"long enough","password_hash":"x"}"#, "password_hash"),
    ] {
        rows.push(("POST", "/api/v1/users", body.to_owned(), 400, invalid, field));
    }
    rows.push((
        "POST",
        "/api/v1/users",
        r#"{"username":"admin","password":"long enough"}"#.to_owned(),
        409,
        "name-taken",
        "",
    ));
    rows.push(("PATCH", "/api/v1/users/admin", r#"{"disabled":true}"#.to_owned(), 409, "last-administrator", ""));
    rows.push(("PATCH", "/api/v1/users/admin", r#"{"role":"user"}"#.to_owned(), 409, "last-administrator", ""));
    rows.push(("DELETE", "/api/v1/users/admin", String::new(), 409, "last-administrator", ""));
    rows.push(("PATCH", "/api/v1/nodes/node-01", r#"{"capacity":{}}"#.to_owned(), 400, invalid, "capacity"));
    rows.push(("PATCH", "/api/v1/nodes/node-01", r#"{"cordoned":"yes"}"#.to_owned(), 400, invalid, "cordoned"));
    rows.extend(scaling());
    for path in [
        "/api/v1/deployments",
        "/api/v1/users",
        "/api/v1/nodes",
        "/api/v1/audit",
        "/api/deployment/list",
        "/api/v1/scaling/policies",
        "/api/v1/scaling/policies/taken/versions",
        "/api/v1/scaling/policies/taken/decisions",
        "/api/v1/scaling/history",
        "/api/v1/deployments/taken/decisions",
    ] {
        for (query, field) in
            [("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor")]
        {
            let path: &'static str = Box::leak(format!("{path}?{query}").into_boxed_str());
            rows.push(("GET", path, String::new(), 400, invalid, field));
        }
    }
    rows.push(("GET", "/api/v1/deployments?status=gone", String::new(), 400, invalid, "status"));
    rows.push(("GET", "/api/v1/deployments?owner=x", String::new(), 400, invalid, "owner"));
    rows.push(("DELETE", "/api/v1/nodes/node-01?force=maybe", String::new(), 400, invalid, "force"));
    for path in [
        "/api/v1/deployments/nothing",
        "/api/v1/deployments/00000000-0000-7000-8000-000000000000",
        "/api/v1/deployments/%00",
        "/api/v1/deployments/%ff",
        "/api/v1/deployments/..%2f..%2fetc",
        "/api/v1/deployments/' OR 1=1 --",
        "/api/v1/users/nobody",
        "/api/v1/nodes/nowhere",
        "/api/deployment/status/nothing",
        "/api/v2/deployments",
        "/",
    ] {
        let path: &'static str = Box::leak(path.replace(' ', "%20").into_boxed_str());
        rows.push(("GET", path, String::new(), 404, "not-found", ""));
    }
    rows.push(("POST", "/healthz", String::new(), 405, "method-not-allowed", ""));
    rows.push(("PUT", "/api/v1/deployments", String::new(), 405, "method-not-allowed", ""));
    rows
}

/// What scaling refuses, in both of its views.
fn scaling() -> Vec<Row> {
    let invalid = "invalid-request";
    let mut rows: Vec<Row> = Vec::new();
    let policy = |more: Value| {
        let mut policy = json!({"name": "new", "target_type": "deployment", "target_id": "taken"});
        policy.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        policy.to_string()
    };
    let rule = |field: &str, value: Value| {
        let mut rule = json!({"metric": "m", "operator": "gt", "threshold": 1, "duration": "1m", "scale_by": 1});
        rule[field] = value;
        policy(json!({"scale_up_rules": [rule]}))
    };
    for (body, field) in [
        (policy(json!({"min_replicas": 0})), "min_replicas"),
        (policy(json!({"min_replicas": -1})), "min_replicas"),
        (policy(json!({"min_replicas": "1"})), "min_replicas"),
        (policy(json!({"min_replicas": 5, "max_replicas": 2})), "max_replicas"),
        (policy(json!({"max_replicas": 101})), "max_replicas"),
        (policy(json!({"max_replicas": u64::MAX})), "max_replicas"),
        (policy(json!({"cooldown_seconds": 90_000})), "cooldown_seconds"),
        (policy(json!({"cooldown_seconds": "5m"})), "cooldown_seconds"),
        (policy(json!({"scale_up_cooldown": "soon"})), "scale_up_cooldown"),
        (policy(json!({"scale_to_zero": "no"})), "scale_to_zero"),
        (policy(json!({"name": "two words"})), "name"),
        (policy(json!({"name": "<script>"})), "name"),
        (policy(json!({"target_id": "nothing"})), "target_id"),
        (policy(json!({"target_type": "a b"})), "target_type"),
        (rule("operator", json!("ge")), "scale_up_rules[0].operator"),
        (rule("threshold", json!(-1)), "scale_up_rules[0].threshold"),
        (rule("threshold", json!(null)), "scale_up_rules[0].threshold"),
        (rule("duration", json!("5 minutes")), "scale_up_rules[0].duration"),
        (rule("duration", json!(-5)), "scale_up_rules[0].duration"),
        (rule("scale_by", json!(0)), "scale_up_rules[0].scale_by"),
        (rule("scale_by", json!(-1)), "scale_up_rules[0].scale_by"),
        (rule("metric", json!("")), "scale_up_rules[0].metric"),
        (rule("id", json!("x")), "scale_up_rules[0].id"),
        (policy(json!({"scale_up_rules": [["m", "gt", 1, "1m", 1]]})), "scale_up_rules[0]"),
        (policy(json!({"scale_up_rules": {}})), "scale_up_rules"),
        (policy(json!({"load_score": [80, 30]})), "load_score"),
        (policy(json!({"load_score": {"scale_up_threshold": 20}})), "load_score.scale_down_threshold"),
        (
            policy(json!({"schedules": [{"cron_expression": "99 * * * *", "desired_replicas": 1}]})),
            "schedules[0].cron_expression",
        ),
        (
            policy(json!({"schedules": [{"cron_expression": "0 8 * * *", "desired_replicas": 1, "timezone": "Mars"}]})),
            "schedules[0].timezone",
        ),
        (policy(json!({"callback_url": "http://127.0.0.1:9/"})), "callback_url"),
        (
            policy(
                json!({"metrics": {"m": {"source": "http_json", "url": "http://169.254.169.254/x", "pointer": "/a"}}}),
            ),
            "metrics.m.url",
        ),
        (
            policy(json!({"metrics": {"m": {"source": "http_json", "url": "file:///etc/passwd", "pointer": "/a"}}})),
            "metrics.m.url",
        ),
        (
            policy(json!({"metrics": {"m": {"source": "postgresql", "connection": "none", "query": "SELECT 1"}}})),
            "metrics.m.connection",
        ),
        // Fields that are not the caller's to set.
        (policy(json!({"id": "00000000-0000-7000-8000-000000000000"})), "id"),
        (policy(json!({"user_id": "00000000-0000-7000-8000-000000000000"})), "user_id"),
        (policy(json!({"version": 7})), "version"),
        (policy(json!({"resolved_target": "deployment:x"})), "resolved_target"),
        (policy(json!({"paused_until": "2030-01-01T00:00:00Z"})), "paused_until"),
        (policy(json!({"created_at": "2030-01-01T00:00:00Z"})), "created_at"),
        ("[]".to_owned(), "body"),
        ("null".to_owned(), "body"),
    ] {
        rows.push(("POST", "/api/v1/scaling/policies", body.clone(), 400, invalid, field));
        rows.push(("PUT", "/api/v1/scaling/policies/taken", body, 400, invalid, field));
    }
    for (path, body, field) in [
        ("/api/v1/scaling/policies/taken/pause", json!({}), "for"),
        ("/api/v1/scaling/policies/taken/pause", json!({"for": "0s"}), "for"),
        ("/api/v1/scaling/policies/taken/pause", json!({"for": "2h", "until": "2030-01-01T00:00:00Z"}), "until"),
        ("/api/v1/scaling/policies/taken/pause", json!({"until": "2000-01-01T00:00:00Z"}), "until"),
        ("/api/v1/scaling/policies/taken/pause", json!({"minutes": 5}), "minutes"),
        ("/api/v1/scaling/policies/taken/evaluate", json!({"name": "x"}), "target_type"),
        ("/api/v1/scaling/policies/taken/evaluate", json!({"name": "x", "target_type": "other"}), "target_id"),
        ("/api/v1/scaling/backtest", json!({}), "policy"),
        ("/api/v1/scaling/backtest", json!({"policy_id": "taken"}), "series"),
        ("/api/v1/scaling/backtest", json!({"policy_id": "taken", "recorded": {}}), "recorded"),
        ("/api/v1/scaling/backtest", json!({"policy_id": "taken", "recorded": {"step": "1s"}}), "recorded.step"),
        ("/api/v1/scaling/backtest", json!({"policy_id": "taken", "series": []}), "series"),
        ("/api/v1/scaling/backtest", json!({"policy_id": "taken", "series": [], "interval": "0s"}), "interval"),
        ("/api/v1/metrics", json!({}), "samples"),
        ("/api/v1/metrics", json!({"samples": []}), "samples"),
        ("/api/v1/metrics", json!({"samples": [["taken", null, "a", 1]]}), "samples[0]"),
        ("/api/v1/metrics", json!({"samples": [{"metric": "a", "value": 1}]}), "samples[0].target"),
        (
            "/api/v1/metrics",
            json!({"samples": [{"deployment": "taken", "metric": "", "value": 1}]}),
            "samples[0].metric",
        ),
        (
            "/api/v1/metrics",
            json!({"samples": [{"deployment": "taken", "metric": "a", "value": "1"}]}),
            "samples[0].value",
        ),
        (
            "/api/v1/metrics",
            json!({"samples": [{"deployment": "none", "metric": "a", "value": 1}]}),
            "samples[0].deployment",
        ),
        ("/api/v1/metrics", json!({"samples": [{"target": "edge", "metric": "a", "value": 1}]}), "samples[0].target"),
        (
            "/api/v1/metrics",
            json!({"samples": [{"deployment": "taken", "metric": "a", "value": 1, "at": "2100-01-01T00:00:00Z"}]}),
            "samples[0].at",
        ),
        (
            "/api/v1/metrics",
            json!({"samples": [{"deployment": "taken", "metric": "a", "value": 1, "stale_after": "2d"}]}),
            "samples[0].stale_after",
        ),
        (
            "/api/v1/metrics",
            json!({"samples": [{"deployment": "taken", "metric": "a", "value": -1e291}]}),
            "samples[0].value",
        ),
        (
            "/api/v1/metrics",
            json!({"samples": [{"deployment": "taken", "metric": "cpu_percent", "value": -0.1}]}),
            "samples[0].value",
        ),
        ("/proxy/scaling/policies/taken", json!({"minReplicas": "1"}), "minReplicas"),
        ("/proxy/scaling/policies/taken", json!({"min_replicas": 1}), "min_replicas"),
        ("/proxy/scaling/policies/taken", json!({"name": "x"}), "name"),
        ("/proxy/scaling/policies/taken", json!({"scaleUpCooldownSeconds": 90_000}), "scaleUpCooldownSeconds"),
        ("/proxy/scaling/execute/taken", json!({}), "newReplicaCount"),
        ("/proxy/scaling/execute/taken", json!({"newReplicaCount": 2.5}), "newReplicaCount"),
        ("/proxy/scaling/execute/taken", json!({"newReplicaCount": 2, "triggeredBy": "root"}), "triggeredBy"),
        ("/proxy/scaling/execute/taken", json!({"newReplicaCount": 2, "reason": "r".repeat(501)}), "reason"),
        ("/proxy/scaling/evaluate/taken", json!({"force": true}), "body"),
    ] {
        rows.push(("POST", path, body.to_string(), 400, invalid, field));
    }
    for (path, field) in [
        ("/api/v1/scaling/policies/taken/schedule?n=0", "n"),
        ("/api/v1/scaling/policies/taken/schedule?n=1001", "n"),
        ("/api/v1/scaling/policies?owner=x", "owner"),
        ("/api/v1/scaling/history?from=yesterday", "from"),
        ("/api/v1/scaling/history?policy=taken&target=deployment:taken", "target"),
        ("/api/v1/metrics", "target"),
        ("/api/v1/scaling/policies?name=a%00b", "name"),
        ("/proxy/scaling/events/taken?limit=0", "limit"),
        ("/proxy/scaling/summary/taken?hoursBack=0", "hoursBack"),
        ("/proxy/scaling/summary/taken?hoursBack=721", "hoursBack"),
    ] {
        rows.push(("GET", path, String::new(), 400, invalid, field));
    }
    for path in [
        "/api/v1/scaling/policies/nothing",
        "/api/v1/scaling/policies/00000000-0000-7000-8000-000000000000",
        "/api/v1/scaling/policies/nothing/versions",
        "/api/v1/metrics?target=deployment:nothing",
        "/api/v1/metrics?target=edge:1",
        "/api/v1/metrics?target=edge:a%00b",
        "/api/v1/scaling/policies?target=edge:a%00b",
        "/api/v1/scaling/policies/a%00b",
        "/api/v1/scaling/policies/a%0ab/versions",
        "/api/v1/scaling/history?policy=a%00b",
        "/api/v1/deployments/a%00b/decisions",
        "/proxy/scaling/metrics/a%00b",
        "/proxy/scaling/summary/a%1bb",
        "/api/v1/metrics?target=edge:00000000-0000-7000-8000-000000000000:1",
        "/proxy/scaling/policies/nothing",
        "/proxy/scaling/metrics/nothing",
        "/proxy/scaling/events/nothing",
        "/proxy/scaling/summary/nothing",
    ] {
        rows.push(("GET", path, String::new(), 404, "not-found", ""));
    }
    let policy = json!({"name": "taken", "target_type": "deployment", "target_id": "taken"}).to_string();
    rows.push(("POST", "/api/v1/scaling/policies", policy, 409, "name-taken", ""));
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_names_the_field_and_changes_nothing() {
    let api = Api::with_nodes(2).await;
    api.deploy(&api.admin, "taken", 2).await;
    let policy = json!({"name": "taken", "target_type": "deployment", "target_id": "taken", "min_replicas": 2});
    api.policy(&api.admin, policy).await;
    let mine = api.deploy(&api.admin, "new", 1).await;
    let mine: &'static str = Box::leak(format!("/api/v1/deployments/{mine}").into_boxed_str());
    let before = api.everything().await;
    let rows = rows(mine);
    assert!(rows.len() > 250, "{}", rows.len());
    for (method, path, body, status, kind, field) in rows {
        // The deployment "new" is there for PUT; a POST of the same name must fail for its field before its name.
        let answer = api.call(method, path, Some(&api.admin), &body).await;
        let shown: String = body.chars().take(200).collect();
        let fields = answer.problem_of(&format!("{method} {path} {shown}"), status, kind);
        if !field.is_empty() {
            assert!(fields.iter().any(|found| found == field), "{method} {path} {shown}: {}", answer.text);
        }
        assert!(answer.text.len() < 8_192, "the error is as large as the attack: {method} {path} {shown}");
    }
    assert_eq!(api.everything().await, before);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_and_foreign_bodies_are_refused_or_read_as_json() {
    let api = Api::new().await;
    let body = spec("web", 1).to_string();
    let gzip = [("content-encoding", "gzip")];
    let refused = api.call_with("POST", "/api/v1/deployments", Some(&api.admin), &gzip, &body).await;
    refused.problem(415, "unsupported-media-type");
    let told = [("content-length", "99999999999")];
    let refused = api.call_with("POST", "/api/v1/deployments", Some(&api.admin), &told, &body).await;
    refused.problem(413, "too-large");
    assert_eq!(api.get("/api/v1/deployments", &api.admin).await.ok(200)["items"], json!([]));
    let xml = [("content-type", "application/xml")];
    api.call_with("POST", "/api/v1/deployments", Some(&api.admin), &xml, &body).await.ok(202);
    api.stop().await;
}
