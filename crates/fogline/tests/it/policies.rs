//! `fogline policy` and `fogline why`: a real server, a real service, a metric that is pushed with curl.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::api::{answer, call};
use crate::harness::{Dev, run_in, wait_for};

/// Ends at once when it is told to.
const SLEEPER: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

const POLICY: &str = "\
name: by-queue
target_type: deployment
target_id: worker
min_replicas: 1
max_replicas: 4
scale_up_rules:
  - {metric: queue_length, operator: gt, threshold: 20, scale_by: 2}
scale_down_rules:
  - {metric: queue_length, operator: lt, threshold: 3, scale_by: -1}
scale_up_cooldown: 1h
schedules:
  - {cron_expression: 0 8 * * 1-5, timezone: Europe/Budapest, desired_replicas: 3, duration: 10h}
";

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn started() -> Dev {
    let dev = Dev::start_with(&["--nodes", "3"]);
    dev.log_in();
    dev.cli(&["deploy", "worker", "--replicas", "1", "--wait", "--", "sh", "-c", SLEEPER]).ok();
    dev
}

fn written(dev: &Dev, name: &str, policy: &str) -> String {
    let path = dev.home().join(name);
    std::fs::write(&path, policy).expect("written");
    path.to_str().expect("a plain path").to_owned()
}

/// As the how-to does it, with curl.
fn push(dev: &Dev, token: &str, value: u32) {
    let body = json!({"samples": [{"deployment": "worker", "metric": "queue_length", "value": value}]});
    let (status, said) = call(dev, "POST", "/api/v1/metrics", token, Some(&body));
    assert_eq!((status, &said["accepted"]), (202, &json!(1)), "{said}");
}

#[test]
fn a_pushed_metric_scales_a_service_and_why_tells_how() {
    let dev = started();
    let token = dev.token();
    let file = written(&dev, "policy.yaml", POLICY);
    assert!(dev.cli(&["why", "worker"]).ok().contains("nothing was decided yet"));
    let would = dev.cli(&["policy", "apply", "-f", &file, "--dry-run"]).ok();
    assert!(would.contains("would create") && would.contains("deployment worker"), "{would}");
    assert!(dev.cli(&["policy", "list"]).ok().contains("no scaling policies"));
    assert!(dev.cli(&["policy", "apply", "-f", &file]).ok().contains("created"));
    assert!(dev.cli(&["policy", "apply", "-f", &file]).ok().contains("unchanged"));

    let blind = dev.cli(&["policy", "evaluate", "by-queue"]).ok();
    assert!(blind.contains("no data") && blind.contains("Nothing was changed."), "{blind}");
    push(&dev, &token, 40);
    wait_for("two more replicas", || {
        // A push is good for a while only, and this machine may be busy.
        push(&dev, &token, 40);
        let status = json_of(&dev.cli(&["status", "worker", "-o", "json"]).ok());
        (status["target_replicas"] == 3 && status["health"]["ready"] == 3).then_some(())
    });
    let history = dev.cli(&["history", "worker"]).ok();
    assert!(history.contains("Scaled up from 1 to 3 replicas") && history.contains("queue_length"), "{history}");

    let why = wait_for("the decisions after the change", || {
        let why = dev.cli(&["why", "worker"]).ok();
        why.contains("held at 3").then_some(why)
    });
    for part in ["inputs", "queue_length", "push", "votes", "by-queue", "rules", "steps", "cooldown", "Last change,"] {
        assert!(why.contains(part), "no {part:?} in:\n{why}");
    }
    assert!(why.contains("scaled up from 1 to 3") && !why.contains('\u{1b}'), "{why}");
    let all = json_of(&dev.cli(&["why", "worker", "--json", "-n", "200"]).ok());
    let change = all.as_array().expect("a list").iter().find(|one| one["action"] == "scale_up").expect("the change");
    assert_eq!((&change["current"], &change["replicas"], &change["trigger"]), (&json!(1), &json!(3), &json!("auto")));
    assert_eq!((&change["inputs"][0]["value"], &change["inputs"][0]["source"]), (&json!(40.0), &json!("push")));
    assert_eq!(change["status"], "completed");

    let refused = dev.cli(&["scale", "worker", "7"]).fails(4, &["by-queue", "1 to 4"]);
    assert!(refused.contains("replicas"), "{refused}");
}

#[test]
fn a_policy_is_listed_shown_changed_paused_and_deleted() {
    let dev = started();
    let file = written(&dev, "policy.yaml", POLICY);
    dev.cli(&["policy", "apply", "-f", &file]).ok();
    let list = dev.cli(&["policy", "list"]).ok();
    for part in ["by-queue", "deployment worker", "1-4", "2 rules, schedule", "active"] {
        assert!(list.contains(part), "no {part:?} in:\n{list}");
    }
    // What is shown is a file that can be applied again.
    let shown = dev.cli(&["policy", "show", "by-queue"]).ok();
    assert!(shown.starts_with("# deployment worker, by 2 rules, schedule: active"), "{shown}");
    let again = written(&dev, "again.yaml", &shown);
    assert!(dev.cli(&["policy", "apply", "-f", &again]).ok().contains("unchanged"));
    let changed = written(&dev, "changed.yaml", &POLICY.replace("max_replicas: 4", "max_replicas: 2"));
    let would = dev.cli(&["policy", "apply", "--dry-run", "-f", &changed]).ok();
    assert!(would.contains("would update") && would.contains("now: "), "{would}");
    let evaluated = dev.cli(&["policy", "evaluate", "by-queue", "-f", &changed]).ok();
    assert!(evaluated.contains("Nothing was changed."), "{evaluated}");
    assert!(dev.cli(&["policy", "apply", "-f", &changed]).ok().contains("version 2"));

    let schedule = dev.cli(&["policy", "schedule", "by-queue", "-n", "4"]).ok();
    assert_eq!(schedule.lines().count(), 5, "{schedule}");
    assert!(schedule.contains("window opens") && schedule.contains("window closes"), "{schedule}");
    assert!(schedule.contains("Europe/Budapest") && schedule.contains("0 8 * * 1-5"), "{schedule}");

    let paused = dev.cli(&["policy", "pause", "by-queue", "--for", "2h"]).ok();
    assert!(paused.contains("by-queue: paused until 20"), "{paused}");
    assert!(dev.cli(&["policy", "list"]).ok().contains("paused until"));
    let id =
        json_of(&dev.cli(&["policy", "show", "by-queue", "-o", "json"]).ok())["id"].as_str().expect("an id").to_owned();
    assert!(dev.cli(&["policy", "resume", &id]).ok().contains("by-queue: goes on"));

    dev.cli(&["policy", "delete", "by-queue", "nothing"]).fails(3, &["nothing", "policy list"]);
    assert!(dev.cli(&["policy", "list"]).ok().contains("by-queue"), "a mistyped name deletes nothing");
    dev.cli(&["policy", "delete", "by-queue"]).ok();
    dev.cli(&["policy", "show", "by-queue"]).fails(3, &["by-queue"]);
}

#[test]
fn what_is_refused_says_what_would_do() {
    let dev = started();
    let nowhere = written(&dev, "nowhere.yaml", &POLICY.replace("worker", "nothing"));
    dev.cli(&["policy", "apply", "-f", &nowhere]).fails(4, &["by-queue", "target_id", "nothing"]);
    let wrong = written(&dev, "wrong.yaml", &POLICY.replace("max_replicas: 4", "max_replicas: 0"));
    dev.cli(&["policy", "apply", "-f", &wrong]).fails(4, &["max_replicas"]);
    let file = written(&dev, "policy.yaml", POLICY);
    dev.cli(&["policy", "apply", "-f", &file, "-f", &file]).fails(4, &["twice", "nothing was sent"]);
    dev.cli(&["policy", "pause", "by-queue", "--for", "soon"]).fails(2, &["soon", "90s"]);
    dev.cli(&["policy", "schedule", "by-queue", "-n", "0"]).fails(2, &["1..=1000"]);
    dev.cli(&["why", "nothing"]).fails(3, &["nothing"]);
}

/// The document's own text, on the port that it names.
#[test]
fn scale_001_runs_on_the_port_of_its_examples() {
    let dev = Dev::start_with(&["--nodes", "1"]);
    dev.log_in();
    let script = format!(
        r#"curl() {{ command curl --silent --show-error --connect-to localhost:8080:{} --write-out '\n%{{http_code}}' "$@"; }}
curl -X POST http://localhost:8080/api/v1/scaling/policies \
  -H "Authorization: Bearer {}" \
  -H "Content-Type: application/json" \
  -d '{{"name":"test-policy","target_type":"cdc-worker","min_replicas":1,"max_replicas":5}}'"#,
        dev.url.trim_start_matches("http://"),
        dev.token(),
    );
    let out = Command::new("bash").args(["-euc", &script]).output().expect("bash runs");
    let (status, policy) = answer(&String::from_utf8(out.stdout).expect("UTF-8"));
    assert_eq!((status, &policy["name"], &policy["enabled"]), (201, &json!("test-policy"), &json!(true)), "{policy}");
    assert_eq!((&policy["min_replicas"], &policy["max_replicas"]), (&json!(1), &json!(5)));
    assert!(dev.cli(&["policy", "list"]).ok().contains("no executor"));
}

#[test]
fn the_example_of_the_how_to_is_a_policy_and_its_schema_is_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the checkout");
    let home = tempfile::tempdir().expect("a directory");
    let schema = json_of(&run_in(home.path(), &[], &["schema", "policy"]).ok());
    assert!(schema["properties"]["scale_up_rules"].is_object(), "{schema}");
    let deployment = json_of(&run_in(home.path(), &[], &["schema"]).ok());
    assert!(deployment["properties"]["replicas"].is_object(), "{deployment}");
    let dev = Dev::start_with(&["--nodes", "3", "--node-cpu", "4", "--node-memory-mb", "8192"]);
    dev.log_in();
    let file = |name: &str| root.join("examples").join(name).to_str().expect("a plain path").to_owned();
    dev.cli(&["apply", "-f", &file("hello.yaml")]).ok();
    assert!(dev.cli(&["policy", "apply", "-f", &file("scaling/queue.yaml")]).ok().contains("created"));
}
