//! Nodes, as people see them.

use serde_json::json;

use super::api::Api;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_says_what_is_free_and_takes_orders_from_administrators() {
    let api = Api::with_nodes(2).await;
    let bob = api.user("bob", "viewer").await;
    let page = api.get("/api/v1/nodes?limit=1", &bob).await.ok(200);
    let node = &page["items"][0];
    assert_eq!((&node["name"], &node["status"], &node["replicas"]), (&json!("node-01"), &json!("idle"), &json!(0)));
    assert_eq!(node["free"], node["capacity"]);
    assert_eq!(node["runtimes"], json!(["process"]));
    let cursor = page["next"].as_str().expect("more");
    let rest = api.get(&format!("/api/v1/nodes?cursor={cursor}"), &bob).await.ok(200);
    assert_eq!((&rest["items"][0]["name"], &rest["next"]), (&json!("node-02"), &json!(null)));

    let change = r#"{"cordoned":true,"labels":{"disk":"hdd"}}"#;
    let changed = api.call("PATCH", "/api/v1/nodes/node-02", Some(&api.admin), change).await.ok(200);
    assert_eq!((&changed["cordoned"], &changed["labels"]), (&json!(true), &json!({"disk": "hdd"})));
    let id = api.deploy(&api.admin, "web", 2).await;
    let node = api.get("/api/v1/nodes/node-01", &bob).await.ok(200);
    assert_eq!((&node["status"], &node["replicas"]), (&json!("active"), &json!(2)));
    assert_eq!(node["free"], json!({"cpu": 0.0, "memory": 4096, "gpu": 0, "storage": 60}));

    api.call("DELETE", "/api/v1/nodes/node-01", Some(&api.admin), "").await.problem(409, "still-in-use");
    api.call("DELETE", "/api/v1/nodes/node-02", Some(&api.admin), "").await.ok(204);
    api.get("/api/v1/nodes/node-02", &bob).await.problem(404, "not-found");
    api.call("DELETE", "/api/v1/nodes/node-01?force=true", Some(&api.admin), "").await.ok(204);
    let replicas = api.get(&format!("/api/v1/deployments/{id}/replicas?include_ended=true"), &api.admin).await.ok(200);
    for replica in replicas["items"].as_array().expect("a list") {
        assert_eq!((&replica["node_id"], &replica["node"]), (&json!(null), &json!(null)), "{replica}");
    }
    api.stop().await;
}
