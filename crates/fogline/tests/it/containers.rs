//! Containers end to end: the documents' own calls with a real image from a real registry, on a real engine.
//!
//! Each test is in the engine's network, and `fogline dev` with it. What the API says is compared with what the engine
//! says after each step.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use fogline_testbed::{Engine, Registry, USER};
use rustix::process::Signal;
use serde_json::Value;

use crate::api::answer;
use crate::harness::{Dev, PASSWORD, signal, wait_for};

struct Stage {
    // Before the engine: what it runs must be gone when that goes.
    dev: Dev,
    registry: Registry,
    engine: Arc<Engine>,
}

impl Stage {
    fn new() -> Self {
        let engine = Engine::shared();
        engine.enter();
        let registry = Registry::start(&engine);
        Self::with(engine, registry, &[])
    }

    fn with(engine: Arc<Engine>, registry: Registry, variables: &[(&'static str, &'static str)]) -> Self {
        let docker = format!("unix://{}", engine.socket().display());
        let sizes = ["--nodes", "5", "--node-cpu", "8", "--node-memory-mb", "16384", "--node-storage-gb", "500"];
        let dev = Dev::start_as(&[&sizes[..], &["--docker", &docker]].concat(), Some(PASSWORD), variables);
        dev.log_in();
        Self { dev, registry, engine }
    }

    /// A call as the documents write it, with the token.
    fn curl(&self, method: &str, path: &str, body: Option<&str>) -> (u16, Value) {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--write-out", "\n%{http_code}", "-X", method])
            .args(["-H", &format!("Authorization: Bearer {}", self.dev.token())])
            .arg(format!("{}{path}", self.dev.url));
        if let Some(body) = body {
            command.args(["-d", body]);
        }
        let out = command.output().expect("curl runs");
        assert!(out.status.success(), "{path}: {}", String::from_utf8_lossy(&out.stderr));
        answer(&String::from_utf8_lossy(&out.stdout))
    }

    fn deployment(&self, name: &str) -> Value {
        let shown = self.dev.cli(&["status", name, "-o", "json"]).ok();
        serde_json::from_str(&shown).expect("JSON")
    }

    /// Waits until just so many replicas run, and the engine agrees; gives them.
    fn settled(&self, name: &str, count: usize) -> Vec<Value> {
        wait_for("API and engine to have the same replicas", || {
            let deployment = self.deployment(name);
            let replicas = deployment["replicas"].as_array()?.clone();
            let ready = replicas.iter().filter(|replica| replica["ready"] == true && replica["status"] == "running");
            if replicas.len() != count || ready.count() != count {
                return None;
            }
            let said: BTreeSet<String> =
                replicas.iter().filter_map(|replica| Some(replica["container_id"].as_str()?.to_owned())).collect();
            (said.len() == count && self.containers(&deployment) == said).then_some(replicas)
        })
    }

    /// What the engine runs of a deployment.
    fn containers(&self, deployment: &Value) -> BTreeSet<String> {
        let filter = format!("label=fogline.deployment_id={}", deployment["id"].as_str().expect("an id"));
        let listed = self.engine.ok(&["ps", "--no-trunc", "--format", "{{.ID}}", "--filter", &filter]);
        listed.lines().map(ToOwned::to_owned).collect()
    }
}

/// What answers at a replica's endpoint.
fn said_by(replica: &Value) -> String {
    let endpoint = replica["endpoint"].as_str().expect("an endpoint");
    let page = Command::new("curl").args(["-sf", &format!("http://{endpoint}/")]).output().expect("curl runs");
    assert!(page.status.success(), "{endpoint} does not answer");
    String::from_utf8_lossy(&page.stdout).into_owned()
}

fn all_say(replicas: &[Value], version: &str) {
    for replica in replicas {
        let said = said_by(replica);
        assert!(said.contains(&format!("version={version}\n")), "{said}");
        assert!(said.contains(&format!("replica={}\n", replica["id"].as_str().expect("an id"))), "{said}");
    }
}

fn ids(replicas: &[Value]) -> BTreeSet<String> {
    replicas.iter().map(|replica| replica["container_id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn the_documents_calls_with_a_real_image() {
    let stage = Stage::new();
    let digest = stage.registry.push("v1", "first");
    let (code, body) = stage.curl(
        "POST",
        "/api/deployment/deploy",
        Some(&format!(
            r#"{{
    "name": "web-api",
    "type": "compute",
    "container_image": "{}",
    "replicas": 3,
    "resources": {{
      "cpu": 2.0,
      "memory": 2048,
      "gpu": 0,
      "storage": 20
    }}
  }}"#,
            stage.registry.image("v1")
        )),
    );
    assert_eq!((code, &body["success"], &body["status"]), (202, &true.into(), &"pending".into()), "{body}");
    let id = body["deployment_id"].as_str().expect("an id").to_owned();
    all_say(&stage.settled("web-api", 3), "first");
    assert_eq!(stage.deployment("web-api")["image_digest"], digest);

    // The tag is moved: whoever starts from now on still runs what was approved.
    let moved = stage.registry.push("v1", "moved");
    assert_ne!(moved, digest);
    let (code, body) = stage.curl("POST", &format!("/api/deployment/scale/{id}"), Some(r#"{"replicas": 5}"#));
    assert_eq!((code, &body["message"]), (200, &"Scaled up to 5 replicas (2 added)".into()), "{body}");
    all_say(&stage.settled("web-api", 5), "first");
    let (code, body) = stage.curl("POST", &format!("/api/deployment/scale/{id}"), Some(r#"{"replicas": 2}"#));
    assert_eq!((code, &body["message"]), (200, &"Scaled down to 2 replicas (3 removed)".into()), "{body}");
    let left = stage.settled("web-api", 2);
    all_say(&left, "first");
    assert_eq!(stage.deployment("web-api")["image_digest"], digest);
    assert!(stage.dev.cli(&["status", "web-api"]).ok().contains(&digest));

    let history = stage.dev.cli(&["history", "web-api"]).ok();
    for line in [
        "Deployment created by user",
        "Scheduled 3 replicas",
        "All 3 replicas started",
        "Scaled up from 3 to 5 replicas (2 added)",
        "Scaled down from 5 to 2 replicas (3 removed)",
    ] {
        assert!(history.contains(line), "{line} in {history}");
    }

    // Another revision finds out anew, and replaces all.
    let second = stage.registry.push("v2", "second");
    let patch = format!(r#"{{"container_image": "{}"}}"#, stage.registry.image("v2"));
    let (code, body) = stage.curl("PATCH", &format!("/api/v1/deployments/{id}"), Some(&patch));
    assert_eq!((code, &body["revision"]), (200, &2.into()), "{body}");
    wait_for("the new revision alone", || {
        let replicas = stage.settled("web-api", 2);
        replicas.iter().all(|replica| replica["revision"] == 2).then_some(())
    });
    all_say(&stage.settled("web-api", 2), "second");
    assert_eq!(stage.deployment("web-api")["image_digest"], second);

    let last = stage.deployment("web-api");
    let (code, body) = stage.curl("DELETE", &format!("/api/deployment/{id}"), None);
    assert_eq!(code, 200, "{body}");
    let filter = format!("label=fogline.deployment_id={id}");
    wait_for("every container to be gone, and not only stopped", || {
        stage.engine.ok(&["ps", "--all", "--quiet", "--filter", &filter]).is_empty().then_some(())
    });
    assert_eq!(stage.containers(&last), BTreeSet::new());
}

#[test]
fn containers_outlive_their_agent_heal_and_can_be_looked_into() {
    let stage = Stage::new();
    stage.registry.push("v1", "only");
    let image = stage.registry.image("v1");
    stage.dev.cli(&["deploy", "web", "--image", &image, "--replicas", "2", "--wait"]).ok();
    let before = stage.settled("web", 2);

    // Adopted: the same containers, not restarted.
    let agent = stage.dev.agent_pid().expect("it runs");
    signal(agent, Signal::KILL);
    wait_for("another agent", || stage.dev.agent_pid().filter(|pid| *pid != agent));
    let adopted = wait_for("the new agent to say that they run", || {
        let said = stage.dev.agent_said();
        (said.matches("taking over from an earlier agent").count() >= 2).then(|| stage.settled("web", 2))
    });
    assert_eq!(ids(&adopted), ids(&before));
    for replica in &adopted {
        assert_eq!(replica["restarts"], 0, "{replica}");
    }

    // One is killed behind the agent's back.
    let victim = before[0]["container_id"].as_str().expect("an id");
    stage.engine.ok(&["kill", victim]);
    let healed = wait_for("another container in its place", || {
        let replicas = stage.settled("web", 2);
        (!ids(&replicas).contains(victim)).then_some(replicas)
    });
    assert!(healed.iter().any(|replica| replica["restarts"] == 1), "{healed:?}");
    all_say(&healed, "only");

    let ran = stage.dev.cli(&["exec", "web", "--", "/service", "--say", "hello", "--complain", "oh", "--exit", "5"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (5, "hello\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("oh"), "{}", ran.stderr);
    let replica = healed[1]["id"].as_str().expect("an id");
    let ran = stage.dev.cli(&[
        "exec",
        "web",
        "--replica",
        replica,
        "--",
        "/service",
        "--show",
        "FOGLINE_REPLICA_ID",
        "--exit",
        "0",
    ]);
    assert_eq!((ran.code, ran.stdout.trim()), (0, replica), "{}", ran.stderr);
    stage.dev.cli(&["exec", "nobody", "--", "/service"]).fails(3, &["no deployment \"nobody\""]);
    let log = stage.dev.cli(&["logs", "web"]).ok();
    assert!(log.matches("started only").count() >= 2, "{log}");

    stage.dev.cli(&["delete", "web", "--wait"]).ok();
    let refused = stage.curl(
        "POST",
        &format!("/api/v1/deployments/web/replicas/{replica}/exec"),
        Some(r#"{"command": ["/service", "--exit", "0"]}"#),
    );
    assert_eq!(refused.0, 404, "{}", refused.1);
}

#[test]
fn a_private_registrys_password_is_in_no_log_and_no_file_of_the_agent() {
    let engine = Engine::shared();
    engine.enter();
    let registry = Registry::start_with_password(&engine);
    registry.push("v1", "private");
    let (user, password) = USER;
    let elsewhere = tempfile::tempdir().expect("a directory");
    let path = elsewhere.path().join("registries.json");
    let text =
        format!(r#"{{"auths": {{"{}": {{"username": "{user}", "password": "{password}"}}}}}}"#, registry.address());
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its owner may do that");
    // Kept for as long as the test binary: a `Dev` may be started again.
    let path: &'static str = Box::leak(path.display().to_string().into_boxed_str());
    let variables = [("FOGLINE_AGENT_REGISTRY_AUTH", path), ("FOGLINE_LOG_LEVEL", "trace")];
    let stage = Stage::with(engine, registry, &variables);
    let image = stage.registry.image("v1");
    stage.dev.cli(&["deploy", "web", "--image", &image, "--wait"]).ok();
    let replicas = stage.settled("web", 1);
    all_say(&replicas, "private");
    let log = stage.dev.agent_said();
    assert!(log.contains("pulled"), "it is logged that something was pulled: {log}");
    let container = stage.engine.ok(&["inspect", replicas[0]["container_id"].as_str().expect("an id")]);
    let agent = stage.dev.agent_pid().expect("it runs");
    let shown = ["environ", "cmdline"].map(|name| fs::read(format!("/proc/{agent}/{name}")).expect("readable"));
    let api = stage.deployment("web").to_string();
    let mut places = vec![log.into_bytes(), stage.dev.said().into_bytes(), container.into_bytes(), api.into_bytes()];
    places.extend(shown);
    places.extend(files_in(&stage.dev.data));
    for place in places {
        let text = String::from_utf8_lossy(&place);
        assert!(!text.contains(password), "the password is in {}", text.chars().take(200).collect::<String>());
    }
}

fn files_in(dir: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(dir).expect("listed").flatten().map(|entry| entry.path());
    entries
        .flat_map(|path| if path.is_dir() { files_in(&path) } else { fs::read(path).into_iter().collect() })
        .collect()
}
