//! The examples of the documents this system was asked for with, run as they stand there: FUNC-01, FUNC-02, INFRA-02.
//!
//! Each `curl` is the document's own text. Only what it leaves out is filled in: token, id, `...`, and the command that
//! the image stands for until there is a container driver. `localhost:8000` is the documents' address; curl is told to
//! connect to the test's own port instead, so that nothing else on the machine is in the way.

use std::process::Command;

use serde_json::Value;

use crate::api::{answer, sqlite};
use crate::harness::{Dev, wait_for};

const SERVICE: &str = r#""runtime": "process", "command": ["sh", "-c", "exec python3 -m http.server --bind 127.0.0.1 $PORT"], "port": 8000, "health": {"type": "http", "path": "/"}"#;

/// Room for the documents' sizes on any laptop.
const NODES: [&str; 8] = ["--nodes", "5", "--node-cpu", "8", "--node-memory-mb", "16384", "--node-storage-gb", "500"];

/// Runs a script in which `curl` is curl, and gives what the last call answered: status and body.
fn curl(dev: &Dev, example: &str) -> (u16, Value) {
    let script = format!(
        "curl() {{ command curl --silent --show-error --connect-to localhost:8000:{} --write-out '\\n%{{http_code}}' \"$@\"; }}\n{example}",
        dev.url.trim_start_matches("http://")
    );
    let out = Command::new("bash").args(["-euc", &script]).output().expect("bash runs");
    let text = String::from_utf8(out.stdout).expect("UTF-8");
    assert!(out.status.success(), "{example}\n{text}\n{}", String::from_utf8_lossy(&out.stderr));
    answer(&text)
}

fn log_in(dev: &Dev) -> String {
    let (status, body) = curl(
        dev,
        r#"curl -X POST http://localhost:8000/api/auth/login \
  -H "Content-Type: application/json" \
  -d '{"username": "admin", "password": "admin123"}'"#,
    );
    assert_eq!((status, body["token_type"].as_str()), (200, Some("bearer")), "{body}");
    body["access_token"].as_str().expect("a token").to_owned()
}

fn status_of(dev: &Dev, token: &str, id: &str) -> Value {
    let (code, body) = curl(
        dev,
        &format!("curl http://localhost:8000/api/deployment/status/{id} -H \"Authorization: Bearer {token}\""),
    );
    assert_eq!(code, 200, "{body}");
    body
}

fn wait_for_running(dev: &Dev, token: &str, id: &str, replicas: usize) -> Value {
    wait_for("the deployment to have just the replicas it asked for", || {
        let body = status_of(dev, token, id);
        let there = body["replicas"].as_array()?.iter().filter(|r| r["status"] != "stopped" && r["status"] != "failed");
        // One that is stopping still holds room, which the next step may count on.
        let settled = there.count() == replicas && running_replicas(&body).len() == replicas;
        (body["status"] == "running" && settled).then_some(body)
    })
}

fn running_replicas(status: &Value) -> Vec<String> {
    let replicas = status["replicas"].as_array().expect("a list of replicas");
    let running = replicas.iter().filter(|replica| replica["status"] == "running");
    running.map(|replica| replica["id"].as_str().expect("an id").to_owned()).collect()
}

fn scale(dev: &Dev, token: &str, id: &str, replicas: i64) -> (u16, Value) {
    curl(
        dev,
        &format!(
            r#"TOKEN={token}
curl -X POST http://localhost:8000/api/deployment/scale/{id} \
  -H "Authorization: Bearer $TOKEN" \
  -d '{{"replicas": {replicas}}}'"#
        ),
    )
}

#[test]
fn func_01_deploys_and_shows_in_api_and_database() {
    let dev = Dev::start_with(&NODES);
    let token = log_in(&dev);
    let (code, body) = curl(
        &dev,
        &format!(
            r#"curl -X POST http://localhost:8000/api/deployment/deploy \
  -H "Authorization: Bearer {token}" \
  -H "Content-Type: application/json" \
  -d '{{
    "name": "web-api",
    "type": "compute",
    "container_image": "nginx:latest",
    "replicas": 3,
    "resources": {{
      "cpu": 2.0,
      "memory": 2048,
      "gpu": 0,
      "storage": 20
    }}, {SERVICE}
  }}'"#
        ),
    );
    assert_eq!((code, &body["success"], &body["status"]), (202, &Value::Bool(true), &"pending".into()), "{body}");
    assert_eq!(body["replicas"], 3);
    let id = body["deployment_id"].as_str().expect("an id").to_owned();
    assert_eq!(body["message"], format!("Deployment queued. Use /status/{id} to track progress."));

    wait_for_running(&dev, &token, &id, 3);
    let (code, body) = curl(
        &dev,
        &format!(
            "curl -X GET http://localhost:8000/api/deployment/status/{id} \\\n  -H \"Authorization: Bearer {token}\""
        ),
    );
    assert_eq!((code, &body["deployment_id"], &body["status"]), (200, &id.as_str().into(), &"running".into()));
    let nodes: std::collections::BTreeSet<&str> = body["replicas"]
        .as_array()
        .expect("replicas")
        .iter()
        .filter_map(|replica| replica["node_id"].as_str())
        .collect();
    assert_eq!(nodes.len(), 3, "three replicas are on three nodes: {body}");
    for replica in body["replicas"].as_array().expect("replicas") {
        let endpoint = replica["endpoint"].as_str().expect("an endpoint");
        let page = Command::new("curl").args(["-sf", &format!("http://{endpoint}/")]).output().expect("curl runs");
        assert!(page.status.success(), "{endpoint} does not answer");
    }

    // The document's own look into the database.
    let found = sqlite(
        &dev,
        "SELECT id, name, status, target_replicas, created_at
FROM deployments
WHERE name = 'web-api';",
    );
    assert!(found.starts_with(&format!("{id}|web-api|running|3|")), "{found}");
    let found = sqlite(
        &dev,
        &format!(
            "SELECT r.id, r.status, n.node_id
FROM deployment_replicas r
JOIN nodes n ON r.node_id = n.id
WHERE r.deployment_id = '{id}';"
        ),
    );
    assert_eq!(found.lines().filter(|line| line.contains("|running|node-0")).count(), 3, "{found}");
    let found = sqlite(
        &dev,
        &format!(
            "SELECT cpu_cores, memory_mb, gpu_units, storage_gb
FROM deployment_resources
WHERE deployment_id = '{id}';"
        ),
    );
    assert_eq!(found.trim(), "2.0|2048|0|20");
    let found = sqlite(
        &dev,
        &format!(
            "SELECT old_status, new_status, changed_at, reason
FROM deployment_status_history
WHERE deployment_id = '{id}'
ORDER BY changed_at;"
        ),
    );
    let steps: Vec<(&str, &str)> = found
        .lines()
        .map(|line| {
            let mut columns = line.splitn(4, '|');
            let (old, new) = (columns.next().expect("old"), columns.next().expect("new"));
            assert!(columns.nth(1).is_some_and(|reason| !reason.is_empty()), "{line} has no reason");
            (old, new)
        })
        .collect();
    assert_eq!(steps, [("none", "pending"), ("pending", "scheduled"), ("scheduled", "running")]);
}

#[test]
fn func_02_scales_up_down_and_says_why_not() {
    let dev = Dev::start_with(&NODES);
    let token = log_in(&dev);
    let deploy = |body: &str| {
        curl(
            &dev,
            &format!(
                r#"TOKEN={token}
curl -X POST http://localhost:8000/api/deployment/deploy \
  -H "Authorization: Bearer $TOKEN" \
  -d '{body}'"#
            ),
        )
    };
    let (code, body) = deploy(&format!(
        r#"{{"name": "test", "type": "compute", "replicas": 3, "resources": {{"cpu": 1, "memory": 512}}, {SERVICE}}}"#
    ));
    assert_eq!(code, 202, "{body}");
    let id = body["deployment_id"].as_str().expect("an id").to_owned();
    let first = running_replicas(&wait_for_running(&dev, &token, &id, 3));

    let (code, body) = scale(&dev, &token, &id, 5);
    assert_eq!(code, 200, "{body}");
    assert_eq!(
        body,
        serde_json::json!({
            "success": true, "deployment_id": id, "status": "running", "replicas": 5,
            "message": "Scaled up to 5 replicas (2 added)",
        })
    );
    wait_for_running(&dev, &token, &id, 5);

    // The three oldest go.
    let (code, body) = scale(&dev, &token, &id, 2);
    assert_eq!((code, &body["message"]), (200, &"Scaled down to 2 replicas (3 removed)".into()), "{body}");
    let left = running_replicas(&wait_for_running(&dev, &token, &id, 2));
    assert!(left.iter().all(|replica| !first.contains(replica)), "{left:?} are not the youngest");

    let (code, body) = scale(&dev, &token, &id, 2);
    assert_eq!((code, &body["success"], &body["replicas"]), (200, &true.into(), &2.into()), "{body}");

    // Too many for five nodes of eight cores: refused, and nothing is made.
    let (code, body) = scale(&dev, &token, &id, 100);
    assert_eq!(code, 503, "{body}");
    assert_eq!(body["detail"], "Insufficient nodes for scale-up: need 98, found 38 with capacity");
    assert_eq!(status_of(&dev, &token, &id)["target_replicas"], 2);

    for replicas in [0, 101, -1] {
        let (code, body) = scale(&dev, &token, &id, replicas);
        assert_eq!(code, 400, "{replicas}: {body}");
    }
    let (code, body) = scale(&dev, &token, "00000000-0000-7000-8000-000000000000", 3);
    assert_eq!(code, 404, "{body}");

    let (code, body) = scale(&dev, &token, &id, 1);
    assert_eq!((code, &body["message"]), (200, &"Scaled down to 1 replicas (1 removed)".into()), "{body}");
    wait_for_running(&dev, &token, &id, 1);

    // FUNC-01's large job does not fit, fails with the reason, and cannot be scaled.
    let (code, body) = deploy(&format!(
        r#"{{"name": "large-job", "type": "compute", "replicas": 10, "resources": {{"cpu": 8.0, "memory": 16384}}, {SERVICE}}}"#
    ));
    assert_eq!(code, 202, "{body}");
    let large = body["deployment_id"].as_str().expect("an id").to_owned();
    let failed = status_of(&dev, &token, &large);
    assert_eq!(
        (&failed["status"], failed["replicas"].as_array().map(Vec::len)),
        (&"failed".into(), Some(0)),
        "{failed}"
    );
    let reason = sqlite(
        &dev,
        &format!(
            "SELECT reason FROM deployment_status_history WHERE deployment_id = '{large}' AND new_status = 'failed';"
        ),
    );
    assert_eq!(reason.trim(), "Insufficient nodes: need 10, found 4");
    let (code, body) = scale(&dev, &token, &large, 3);
    assert_eq!((code, &body["detail"]), (400, &"Cannot scale a failed deployment".into()), "{body}");

    // An image where no node has Docker fails with just that reason.
    let (code, body) = deploy(
        r#"{"name": "image", "type": "compute", "container_image": "nginx:latest", "replicas": 3, "resources": {"cpu": 2.0, "memory": 2048, "gpu": 0, "storage": 20}}"#,
    );
    assert_eq!(code, 202, "{body}");
    let image = body["deployment_id"].as_str().expect("an id").to_owned();
    assert_eq!(status_of(&dev, &token, &image)["status"], "failed");
    let reason = sqlite(
        &dev,
        &format!(
            "SELECT reason FROM deployment_status_history WHERE deployment_id = '{image}' AND new_status = 'failed';"
        ),
    );
    assert_eq!(reason.trim(), "Insufficient nodes: need 3, found 0: 5 of 5 nodes lack runtime docker");

    // Deleting is soft: gone for its user, kept in the database.
    let (code, list) =
        curl(&dev, &format!("curl http://localhost:8000/api/deployment/list -H \"Authorization: Bearer {token}\""));
    assert_eq!(code, 200, "{list}");
    assert!(list.to_string().contains(&id), "{list}");
    let (code, body) = curl(
        &dev,
        &format!("curl -X DELETE http://localhost:8000/api/deployment/{id} -H \"Authorization: Bearer {token}\""),
    );
    assert_eq!(code, 200, "{body}");
    let (code, _) = curl(
        &dev,
        &format!("curl http://localhost:8000/api/deployment/status/{id} -H \"Authorization: Bearer {token}\""),
    );
    assert_eq!(code, 404);
    let (code, _) = scale(&dev, &token, &id, 3);
    assert_eq!(code, 404);
    let kept = sqlite(&dev, &format!("SELECT status, deleted_at IS NOT NULL FROM deployments WHERE id = '{id}';"));
    assert_eq!(kept.trim(), "deleted|1");
}
