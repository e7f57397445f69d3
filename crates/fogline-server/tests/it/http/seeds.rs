//! The seeds' doors: their paths, shapes, words and codes.

use serde_json::{Value, json};

use super::api::{ADMIN_PASSWORD, Api};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_seeds() {
    let api = Api::with_nodes(5).await;
    let body = json!({"username": "admin", "password": ADMIN_PASSWORD}).to_string();
    let tokens =
        api.call_with("POST", "/api/auth/login", None, &[("content-type", "application/json")], &body).await.ok(200);
    assert_eq!(tokens["token_type"], "bearer");
    let token = tokens["access_token"].as_str().expect("a token").to_owned();
    assert!(token.starts_with("eyJ"), "{token}");

    // As in FUNC-01, with what to run until there are images; curl's own Content-Type.
    let body = r#"{
        "name": "web-api", "type": "compute", "container_image": "nginx:latest", "replicas": 3,
        "resources": {"cpu": 2.0, "memory": 2048, "gpu": 0, "storage": 20},
        "runtime": "process", "command": ["serve"]
    }"#;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = api.call_with("POST", "/api/deployment/deploy", Some(&token), &form, body).await.ok(202);
    let id = answer["deployment_id"].as_str().expect("an id").to_owned();
    let message = format!("Deployment queued. Use /status/{id} to track progress.");
    assert_eq!(
        answer,
        json!({"success": true, "deployment_id": id, "status": "pending", "replicas": 3, "message": message})
    );

    let status = format!("/api/deployment/status/{id}");
    let seen = api.get(&status, &token).await.ok(200);
    assert_eq!((&seen["deployment_id"], &seen["status"]), (&json!(id), &json!("scheduled")));
    assert_eq!((&seen["type"], &seen["container_image"]), (&json!("compute"), &json!("nginx:latest")));
    api.run(&id).await;
    let seen = api.get(&status, &token).await.ok(200);
    assert_eq!(seen["status"], "running");
    let replicas = seen["replicas"].as_array().expect("a list");
    assert_eq!(replicas.len(), 3);
    assert!(replicas.iter().all(|replica| replica["status"] == "running" && replica["ready"] == true));

    let scale = format!("/api/deployment/scale/{id}");
    let answer = api.post(&scale, &token, json!({"replicas": 5})).await.ok(200);
    assert_eq!(
        answer,
        json!({
            "success": true, "deployment_id": id, "status": "running", "replicas": 5,
            "message": "Scaled up to 5 replicas (2 added)"
        })
    );
    api.run(&id).await;
    assert_eq!(api.get(&status, &token).await.ok(200)["replicas"].as_array().expect("a list").len(), 5);

    let before = api.everything().await;
    let refused = api.post(&scale, &token, json!({"replicas": 100})).await;
    refused.problem(503, "insufficient-nodes");
    assert_eq!(refused.json["detail"], "Insufficient nodes for scale-up: need 95, found 5 with capacity");
    for replicas in [0, -1, 101, 1_000_000_000_000_i64] {
        let refused = api.post(&scale, &token, json!({"replicas": replicas})).await;
        assert_eq!(refused.problem(400, "invalid-request"), ["replicas"]);
    }
    assert_eq!(api.everything().await, before);

    let answer = api.post(&scale, &token, json!({"replicas": 2})).await.ok(200);
    assert_eq!((&answer["replicas"], &answer["message"]), (&json!(2), &json!("Scaled down to 2 replicas (3 removed)")));
    let answer = api.post(&scale, &token, json!({"replicas": 2})).await.ok(200);
    assert_eq!((&answer["success"], &answer["replicas"]), (&json!(true), &json!(2)));
    api.run(&id).await;
    let left: Vec<Value> = api.get(&status, &token).await.ok(200)["replicas"].as_array().expect("a list").clone();
    assert_eq!(left.len(), 2);

    let list = api.get("/api/deployment/list", &token).await.ok(200);
    assert_eq!((&list["total"], &list["deployments"][0]["name"]), (&json!(1), &json!("web-api")));

    api.deploy(&token, "second", 1).await;
    let list = api.get("/api/deployment/list?limit=1", &token).await.ok(200);
    assert_eq!((&list["total"], list["deployments"].as_array().map(Vec::len)), (&json!(2), Some(1)));
    api.call("DELETE", "/api/v1/deployments/second", Some(&token), "").await.ok(200);

    let history = api.get(&format!("/api/v1/deployments/{id}/history"), &token).await.ok(200);
    let lines: Vec<(&str, &str, &str)> = history["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().expect("text");
            (text("old_status"), text("new_status"), text("reason"))
        })
        .collect();
    assert_eq!(
        lines,
        [
            ("none", "pending", "Deployment created by user"),
            ("pending", "scheduled", "Scheduled 3 replicas"),
            ("scheduled", "running", "All 3 replicas started"),
            ("running", "running", "Scaled up from 3 to 5 replicas (2 added)"),
            ("running", "running", "Scaled down from 5 to 2 replicas (3 removed)"),
        ]
    );

    let answer = api.call("DELETE", &format!("/api/deployment/{id}"), Some(&token), "").await.ok(200);
    assert_eq!((&answer["success"], &answer["status"]), (&json!(true), &json!("deleted")));
    api.get(&status, &token).await.problem(404, "not-found");
    api.post(&scale, &token, json!({"replicas": 3})).await.problem(404, "not-found");
    api.call("DELETE", &format!("/api/deployment/{id}"), Some(&token), "").await.problem(404, "not-found");
    assert_eq!(api.get("/api/deployment/list", &token).await.ok(200)["total"], 0);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_does_not_fit_is_accepted_fails_and_cannot_be_scaled() {
    let api = Api::with_nodes(2).await;
    let body = json!({
        "name": "large-job", "type": "compute", "replicas": 10, "runtime": "process", "command": ["serve"],
        "resources": {"cpu": 3.5, "memory": 4096}
    });
    let answer = api.post("/api/deployment/deploy", &api.admin, body).await.ok(202);
    assert_eq!(answer["status"], "pending");
    let id = answer["deployment_id"].as_str().expect("an id");
    let status = api.get(&format!("/api/deployment/status/{id}"), &api.admin).await.ok(200);
    assert_eq!((&status["status"], &status["replicas"]), (&json!("failed"), &json!([])));
    let reason = status["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("Insufficient nodes: need 10, found 2"), "{reason}");
    assert_eq!(status["resources"]["storage"], 10, "the default");
    let refused = api.post(&format!("/api/deployment/scale/{id}"), &api.admin, json!({"replicas": 1})).await;
    refused.problem(400, "wrong-status");
    assert_eq!(refused.json["detail"], "Cannot scale a failed deployment");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_where_no_node_has_docker_fails_with_just_that_reason() {
    let api = Api::with_nodes(3).await;
    let body = json!({
        "name": "web", "type": "compute", "container_image": "nginx:latest", "replicas": 3,
        "resources": {"cpu": 2.0, "memory": 2048, "gpu": 0, "storage": 20}
    });
    let answer = api.post("/api/deployment/deploy", &api.admin, body).await.ok(202);
    let id = answer["deployment_id"].as_str().expect("an id");
    let status = api.get(&format!("/api/deployment/status/{id}"), &api.admin).await.ok(200);
    assert_eq!(status["status"], "failed");
    assert!(status["reason"].as_str().expect("a reason").contains("docker"), "{status}");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_the_seeds_fields_first_and_no_secret() {
    let api = Api::new().await;
    let tokens = api.try_login("admin", ADMIN_PASSWORD).await.ok(200);
    let mut found = keys(&tokens);
    found.sort_unstable();
    assert_eq!(found, ["access_token", "expires_in", "refresh_expires_in", "refresh_token", "token_type"]);
    for path in ["/api/v1/users", "/api/v1/audit", "/api/v1/auth/me"] {
        let text = api.get(path, &api.admin).await.text;
        assert!(!text.contains("argon2") && !text.contains("hash") && !text.contains(ADMIN_PASSWORD), "{text}");
    }
    api.stop().await;
}
