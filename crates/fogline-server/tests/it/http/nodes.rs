//! Nodes, as people see them.

use fogline_core::assignment::Want;
use fogline_core::command::Command;
use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::observation::ReportedState;
use serde_json::json;

use super::api::Api;
use crate::rig::{node, report};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_32_hexadecimal_digits_is_a_name() {
    let api = Api::new().await;
    let name = "0192f0c12d3e7a4b8c5d6e7f8091a2b3";
    api.agent(Command::DeclareNodes { nodes: vec![node(name)] }).await;
    let path = format!("/api/v1/nodes/{name}");
    let found = api.get(&path, &api.admin).await.ok(200);
    assert_eq!(found["name"], name);
    let id = found["id"].as_str().expect("an id").to_uppercase();
    assert_eq!(api.get(&format!("/api/v1/nodes/{id}"), &api.admin).await.ok(200)["name"], name);
    api.call("DELETE", &path, Some(&api.admin), "").await.ok(204);
    api.get(&path, &api.admin).await.problem(404, "not-found");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_without_a_row_is_shown_and_stopped_only_by_an_administrator() {
    let api = Api::with_nodes(2).await;
    let bob = api.user("bob", "user").await;
    let node = api.get("/api/v1/nodes/node-01", &bob).await.ok(200);
    assert_eq!(node["unlisted"], json!([]));
    let node_id: NodeId = node["id"].as_str().expect("an id").parse().expect("an id");
    let lost = "0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3";
    let replica_id: ReplicaId = lost.parse().expect("an id");
    let says = |seq, state| Command::Observe { node_id, reports: vec![report(replica_id, seq, state)] };
    let list = || async {
        let look = api.shared().writer.view(move |cluster, _| cluster.assignment(node_id).replicas);
        look.await.expect("a look").into_iter().map(|replica| (replica.replica_id, replica.want)).collect::<Vec<_>>()
    };

    api.agent(says(1, ReportedState::Running)).await;
    let page = api.get("/api/v1/nodes", &bob).await.ok(200);
    assert_eq!((&page["items"][0]["unlisted"], &page["items"][1]["unlisted"]), (&json!([lost]), &json!([])));
    assert_eq!((&page["items"][0]["replicas"], list().await), (&json!(0), vec![]));

    let path = format!("/api/v1/nodes/node-01/unlisted/{lost}");
    api.call("DELETE", &path, Some(&bob), "").await.problem(403, "forbidden");
    let elsewhere = [path.replace("node-01", "node-02"), path.replace("a2b3", "a2b4"), path.replace(lost, "it")];
    for path in elsewhere {
        api.call("DELETE", &path, Some(&api.admin), "").await.problem_of(&path, 404, "not-found");
    }
    assert_eq!(list().await, []);

    let told = api.call("DELETE", &path, Some(&api.admin), "").await.ok(202);
    assert_eq!((&told["name"], &told["unlisted"]), (&json!("node-01"), &json!([lost])));
    assert_eq!(list().await, [(replica_id, Want::Stop)]);
    let log = api.get("/api/v1/audit", &api.admin).await.ok(200);
    assert_eq!((&log["items"][0]["action"], &log["items"][0]["outcome"]), (&json!("replica.stop"), &json!("ok")));

    api.agent(says(2, ReportedState::Stopped)).await;
    assert_eq!(api.get(&format!("/api/v1/nodes/{node_id}"), &bob).await.ok(200)["unlisted"], json!([]));
    assert_eq!(list().await, []);
    api.call("DELETE", &path, Some(&api.admin), "").await.problem(404, "not-found");
    api.stop().await;
}
