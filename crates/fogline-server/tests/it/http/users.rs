//! Users, for administrators.

use serde_json::json;

use super::api::{Api, PASSWORD, spec};

#[tokio::test(flavor = "multi_thread")]
async fn a_users_life() {
    let api = Api::with_nodes(1).await;
    let body = json!({"username": "bob", "password": PASSWORD});
    let made = api.post("/api/v1/users", &api.admin, body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json["id"].as_str().expect("an id").to_owned();
    assert_eq!(made.header("location"), format!("/api/v1/users/{id}"));
    assert_eq!(
        (&made.json["role"], &made.json["tier"], &made.json["disabled"]),
        (&json!("user"), &json!("free"), &json!(false))
    );
    for named in [id.as_str(), "bob"] {
        assert_eq!(api.get(&format!("/api/v1/users/{named}"), &api.admin).await.ok(200)["id"], json!(id));
    }
    let list = api.get("/api/v1/users", &api.admin).await.ok(200);
    let names: Vec<&str> =
        list["items"].as_array().expect("a list").iter().map(|u| u["username"].as_str().expect("a name")).collect();
    assert_eq!(names, ["admin", "bob"]);

    let bob = api.login("bob", PASSWORD).await;
    let deployment = api.deploy(&bob, "web", 1).await;
    api.run(&deployment).await;
    let refused = api.call("DELETE", "/api/v1/users/bob", Some(&api.admin), "").await;
    refused.problem(409, "still-in-use");
    let disabled =
        api.call("PATCH", "/api/v1/users/bob", Some(&api.admin), r#"{"disabled":true,"tier":"pro"}"#).await.ok(200);
    assert_eq!((&disabled["disabled"], &disabled["tier"]), (&json!(true), &json!("pro")));
    api.get("/api/v1/auth/me", &bob).await.problem(401, "not-authenticated");
    api.call("DELETE", &format!("/api/v1/deployments/{deployment}"), Some(&api.admin), "").await.ok(200);
    api.run(&deployment).await;
    api.call("DELETE", "/api/v1/users/bob", Some(&api.admin), "").await.ok(204);
    api.get("/api/v1/users/bob", &api.admin).await.problem(404, "not-found");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_has_its_limits() {
    let api = Api::with_nodes(5).await;
    api.post("/api/v1/users", &api.admin, json!({"username": "bob", "password": PASSWORD})).await.ok(201);
    let bob = api.login("bob", PASSWORD).await;
    let refused = api.post("/api/v1/deployments", &bob, spec("web", 11)).await;
    refused.problem(403, "quota-exceeded");
    for name in ["a", "b", "c"] {
        api.deploy(&bob, name, 1).await;
    }
    let refused = api.post("/api/v1/deployments", &bob, spec("d", 1)).await;
    refused.problem(403, "quota-exceeded");
    assert!(refused.json["detail"].as_str().expect("text").contains("free tier allows 3"), "{}", refused.text);
    let refused = api.post("/api/v1/deployments/a/scale", &bob, json!({"replicas": 9})).await;
    refused.problem(403, "quota-exceeded");
    api.stop().await;
}
