//! Scaling by what a real Prometheus scrapes from a real exporter: up, down, and whatever becomes of Prometheus.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use fogline_testbed::{Exporter, Prometheus, Relay};
use serde_json::{Value, json};

use crate::api::call;
use crate::harness::{Dev, wait_for};

const SLEEPER: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

/// A server that evaluates every second, and a way to Prometheus that a test can spoil.
struct Scene {
    dev: Dev,
    token: String,
    exporter: Exporter,
    prometheus: Prometheus,
    way: Relay,
}

impl Scene {
    fn start(lines: &str) -> Self {
        let exporter = Exporter::start(lines);
        let prometheus = Prometheus::start(&[exporter.addr()]);
        prometheus.wait_for("queue_length");
        let way = Relay::to(prometheus.addr());
        let dev = Dev::start_as(
            &["--nodes", "2"],
            Some(crate::harness::PASSWORD),
            &[("FOGLINE_EVALUATION_INTERVAL_S", "1"), ("FOGLINE_HEARTBEAT_INTERVAL_S", "1")],
        );
        dev.log_in();
        let token = dev.token();
        Self { dev, token, exporter, prometheus, way }
    }

    /// A deployment with a policy on it.
    fn deploy(&self, name: &str, replicas: &str, policy: &str) {
        self.dev.cli(&["deploy", name, "--replicas", replicas, "--wait", "--", "sh", "-c", SLEEPER]).ok();
        let file = self.dev.home().join(format!("{name}.yaml"));
        let head = format!("name: {name}\ntarget_type: deployment\ntarget_id: {name}\n");
        let policy = policy.replace("PROMETHEUS", &format!("http://{}", self.way.addr()));
        std::fs::write(&file, head + &policy).expect("written");
        self.dev.cli(&["policy", "apply", "-f", &file.to_string_lossy()]).ok();
    }

    fn running(&self, name: &str) -> usize {
        let replicas: Value =
            serde_json::from_str(&self.dev.cli(&["replicas", name, "-o", "json"]).ok()).expect("JSON");
        replicas.as_array().expect("a list").iter().filter(|one| one["ready"] == true).count()
    }

    fn wait_for_replicas(&self, name: &str, count: usize) {
        wait_for(&format!("{count} replicas of {name}"), || (self.running(name) == count).then_some(()));
    }

    /// The latest decisions, newest first.
    fn decisions(&self, name: &str) -> Vec<Value> {
        let status: Value = serde_json::from_str(&self.dev.cli(&["status", name, "-o", "json"]).ok()).expect("JSON");
        let id = status["id"].as_str().expect("an id");
        let path = format!("/api/v1/deployments/{id}/decisions?limit=50");
        let (code, page) = call(&self.dev, "GET", &path, &self.token, None);
        assert_eq!(code, 200, "{page}");
        page["items"].as_array().expect("a list").clone()
    }

    /// Waits until there are decisions of `count` later rounds than now, and gives them, newest first.
    fn later_decisions(&self, name: &str, count: usize) -> Vec<Value> {
        let moments = |decisions: &[Value]| -> BTreeSet<String> {
            decisions.iter().map(|one| one["at"].as_str().expect("a time").to_owned()).collect()
        };
        let before = moments(&self.decisions(name));
        wait_for(&format!("{count} more evaluations of {name}"), || {
            let later: Vec<Value> = self
                .decisions(name)
                .into_iter()
                .filter(|one| before.last().is_none_or(|last| one["at"].as_str().expect("a time") > last.as_str()))
                .collect();
            (later.len() >= count).then_some(later)
        })
    }

    /// Waits until the source of a policy's metric has come to `outcome`, for a reason in which `word` is.
    fn wait_for_outcome(&self, name: &str, outcome: &str, word: &str) {
        wait_for(&format!("{outcome} ({word}) in a decision of {name}"), || {
            let decisions = self.decisions(name);
            let input = &decisions.first()?["inputs"][0];
            let told = input["reason"].as_str().unwrap_or_default();
            (input["outcome"] == outcome && told.contains(word)).then_some(())
        });
    }
}

const RULES: &str = "\
min_replicas: 1
max_replicas: 3
cooldown_seconds: 2
scale_down: {stabilization: 0s}
max_terminations: 100
metrics:
  queue: {source: prometheus, url: PROMETHEUS, query: queue_length, interval: 1s, timeout: 1s}
scale_up_rules:
  - {metric: queue, operator: gt, threshold: 10, duration: 3s, scale_by: 2}
scale_down_rules:
  - {metric: queue, operator: lt, threshold: 3, duration: 3s, scale_by: -1}
";

#[test]
fn a_rule_with_a_duration_scales_up_and_down_again_and_history_says_why() {
    let scene = Scene::start("queue_length 5\n");
    scene.deploy("worker", "1", RULES);
    let held = scene.later_decisions("worker", 3);
    assert!(held.iter().all(|decision| decision["action"] == "hold"), "{held:#?}");

    scene.exporter.set("queue_length 50\n");
    scene.wait_for_replicas("worker", 3);
    scene.exporter.set("queue_length 5\n");
    let why = scene.dev.cli(&["why", "worker"]).ok();
    assert!(why.contains("queue") && why.contains("prometheus"), "{why}");
    scene.exporter.set("queue_length 0\n");
    scene.wait_for_replicas("worker", 1);

    let history = scene.dev.cli(&["history", "worker"]).ok();
    for line in ["Scaled up from 1 to 3 replicas (2 added): ", "Scaled down from 3 to 2 replicas (1 removed): "] {
        let line = history.lines().find(|one| one.contains(line)).unwrap_or_else(|| panic!("{line} in {history}"));
        assert!(line.contains("queue"), "{line}");
    }
    let (code, changes) = call(&scene.dev, "GET", "/api/v1/scaling/history", &scene.token, None);
    assert_eq!(code, 200, "{changes}");
    let counts: Vec<(Value, Value)> = changes["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|line| (line["previous_replicas"].clone(), line["new_replicas"].clone()))
        .collect();
    assert_eq!(counts, [(json!(2), json!(1)), (json!(3), json!(2)), (json!(1), json!(3))], "newest first");
}

/// The load is low enough to go down, if only it were known.
#[test]
fn whatever_becomes_of_prometheus_nothing_goes_down_and_nobody_else_is_late() {
    let scene = Scene::start("queue_length 5\n");
    scene.deploy("worker", "3", RULES);
    let falls_back = "on_missing: fallback\nfallback: {after_failures: 2, replicas: 2}\n";
    scene.deploy("fallen", "1", &format!("{RULES}{falls_back}"));
    scene.deploy(
        "other",
        "1",
        "scale_up_rules:\n  - {metric: cpu_percent, operator: gt, threshold: 1000000, duration: 0s, scale_by: 1}\n",
    );
    scene.wait_for_outcome("worker", "value", "");

    let broken = always_500();
    let healthy = || {
        scene.exporter.set("queue_length 5\n");
        scene.way.redirect(scene.prometheus.addr());
        scene.way.pass();
        scene.wait_for_outcome("worker", "value", "");
    };
    let hostile: [(&str, &dyn Fn(), &str, &str); 6] = [
        ("answers 500", &|| scene.way.redirect(broken), "error", "500"),
        ("hangs", &|| scene.way.hang(), "error", "within 1s"),
        ("is cut off", &|| scene.way.cut(), "error", ""),
        ("has nothing", &|| scene.exporter.set("something_else 0\n"), "missing", ""),
        ("says NaN", &|| scene.exporter.set("queue_length NaN\n"), "error", "NaN"),
        (
            "says two things",
            &|| scene.exporter.set("queue_length{a=\"1\"} 0\nqueue_length{a=\"2\"} 0\n"),
            "error",
            "2 series",
        ),
    ];
    for (what, spoil, outcome, word) in hostile {
        spoil();
        scene.wait_for_outcome("worker", outcome, word);
        // Those of the others go on, and the one without data holds.
        scene.later_decisions("other", 3);
        let held = scene.later_decisions("worker", 3);
        assert!(held.iter().all(|one| one["action"] == "hold"), "Prometheus {what}: {held:#?}");
        assert_eq!(scene.running("worker"), 3, "Prometheus {what}");
        scene.wait_for_replicas("fallen", 2);
        healthy();
    }
    // Stopped for good, and back.
    scene.prometheus.kill();
    scene.wait_for_outcome("worker", "error", "");
    scene.later_decisions("other", 3);
    assert_eq!(scene.running("worker"), 3);
    scene.prometheus.restart();
    scene.exporter.set("queue_length 0\n");
    scene.wait_for_replicas("worker", 1);
}

/// A server of which nothing but this is to be had.
fn always_500() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4_096]);
            let body = "broken";
            let head = format!("HTTP/1.1 500 Internal Server Error\r\nContent-Length: {}\r\n", body.len());
            let _ = write!(stream, "{head}Connection: close\r\n\r\n{body}");
        }
    });
    address
}
