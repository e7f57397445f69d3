//! Changing what runs: one replica at a time, and nobody's change lost.

use serde_json::{Value, json};

use crate::api::call;
use crate::harness::{Dev, wait_for};

fn deploy(dev: &Dev, token: &str, name: &str, replicas: u32, cores: f64) -> String {
    let spec = json!({
        "name": name, "replicas": replicas, "runtime": "process", "port": 8000,
        "command": ["sh", "-c", "exec python3 -m http.server --bind 127.0.0.1 $PORT"],
        "resources": {"cpu": cores, "memory": 512, "storage": 1},
    });
    let (status, body) = call(dev, "POST", "/api/v1/deployments", token, Some(&spec));
    assert_eq!(status, 202, "{body}");
    let id = body["deployment_id"].as_str().unwrap_or_else(|| panic!("no id in {body}")).to_owned();
    wait_for("the deployment to run", || (get(dev, token, &id)["status"] == "running").then_some(()));
    id
}

fn get(dev: &Dev, token: &str, id: &str) -> Value {
    let (status, body) = call(dev, "GET", &format!("/api/v1/deployments/{id}"), token, None);
    assert_eq!(status, 200, "{body}");
    body
}

fn replicas(dev: &Dev, token: &str, id: &str) -> Vec<Value> {
    let (status, body) = call(dev, "GET", &format!("/api/v1/deployments/{id}/replicas?limit=200"), token, None);
    assert_eq!(status, 200, "{body}");
    body["items"].as_array().expect("a list").clone()
}

fn reasons(dev: &Dev, token: &str, id: &str) -> Vec<String> {
    let (status, body) = call(dev, "GET", &format!("/api/v1/deployments/{id}/history?limit=200"), token, None);
    assert_eq!(status, 200, "{body}");
    let lines = body["items"].as_array().expect("a list").iter();
    lines.filter_map(|line| line["reason"].as_str().map(str::to_owned)).collect()
}

/// Follows a rollout to revision 2 and gives the fewest replicas that ran at any look.
fn follow_rollout(dev: &Dev, token: &str, id: &str, wanted: usize) -> usize {
    let mut fewest = usize::MAX;
    wait_for("every replica to be of revision 2", || {
        let all = replicas(dev, token, id);
        let running: Vec<&Value> = all.iter().filter(|replica| replica["status"] == "running").collect();
        fewest = fewest.min(running.len());
        let live = all.iter().filter(|r| r["status"] != "stopped" && r["status"] != "failed").count();
        let done = running.len() == wanted && live == wanted && running.iter().all(|replica| replica["revision"] == 2);
        done.then_some(())
    });
    fewest
}

#[test]
fn an_update_replaces_replicas_while_as_many_as_before_run() {
    let dev =
        Dev::start_with(&["--nodes", "3", "--node-cpu", "4", "--node-memory-mb", "8192", "--node-storage-gb", "100"]);
    let token = dev.token();
    let id = deploy(&dev, &token, "web", 3, 0.5);
    let patch = json!({"env": {"GREETING": "hello"}});
    let (status, body) = call(&dev, "PATCH", &format!("/api/v1/deployments/{id}"), &token, Some(&patch));
    assert_eq!((status, &body["revision"], &body["rolling"]), (200, &json!(2), &json!(true)), "{body}");
    assert_eq!(follow_rollout(&dev, &token, &id, 3), 3, "at some moment fewer than three ran");
    wait_for("the history to end with the rollout", || {
        reasons(&dev, &token, &id).iter().any(|reason| reason == "Revision 2 runs on all 3 replicas").then_some(())
    });
}

#[test]
fn without_room_for_one_more_one_is_stopped_first_and_said_so() {
    let dev =
        Dev::start_with(&["--nodes", "2", "--node-cpu", "1", "--node-memory-mb", "1024", "--node-storage-gb", "10"]);
    let token = dev.token();
    let id = deploy(&dev, &token, "tight", 2, 1.0);
    let patch = json!({"env": {"GREETING": "hello"}});
    let (status, body) = call(&dev, "PATCH", &format!("/api/v1/deployments/{id}"), &token, Some(&patch));
    assert_eq!(status, 200, "{body}");
    assert!(follow_rollout(&dev, &token, &id, 2) >= 1, "at some moment none ran");
    let said = "No room for one more replica: one is stopped before its replacement starts";
    assert!(reasons(&dev, &token, &id).iter().any(|reason| reason == said), "{:?}", reasons(&dev, &token, &id));
}

#[test]
fn changes_of_many_at_once_are_all_there_in_the_end() {
    let dev = Dev::start();
    let token = dev.token();
    let id = deploy(&dev, &token, "shared", 1, 0.5);
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (dev, token, path) = (&dev, &token, format!("/api/v1/deployments/{id}"));
            scope.spawn(move || {
                let mut variable = serde_json::Map::new();
                variable.insert(format!("N{number}"), json!("set"));
                wait_for("a change to be taken", || {
                    let (status, body) = call(dev, "PATCH", &path, token, Some(&json!({"env": variable})));
                    assert!(
                        status == 200 || (status == 409 && body["type"] == "/problems/changed-meanwhile"),
                        "{body}"
                    );
                    (status == 200).then_some(())
                });
            });
        }
    });
    let (_, body) = call(&dev, "GET", &format!("/api/v1/deployments/{id}"), &token, None);
    let env = body["spec"]["env"].as_object().unwrap_or_else(|| panic!("no environment in {body}"));
    let missing: Vec<u32> = (0..16).filter(|number| !env.contains_key(&format!("N{number}"))).collect();
    assert!(missing.is_empty(), "lost: {missing:?}");
}
