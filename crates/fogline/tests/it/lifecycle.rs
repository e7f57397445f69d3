//! A deployment's life on the command line: deployed, looked at, scaled, changed, stopped, deleted.

use serde_json::Value;

use crate::harness::{Dev, run_in, wait_for};

/// A service that needs nothing but a shell and ends at once when it is told to.
const SLEEPER: &str = "trap 'exit 0' TERM; echo \"I am $FOGLINE_REPLICA_ID on $FOGLINE_NODE\"; printf '\\033[31mred\\n'; while :; do sleep 0.1; done";

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn deploy(dev: &Dev, name: &str, replicas: &str) {
    dev.cli(&["deploy", name, "--replicas", replicas, "--wait", "--", "sh", "-c", SLEEPER]).ok();
}

#[test]
fn from_deploy_to_delete() {
    let dev = Dev::start();
    dev.cli(&["list"]).fails(6, &["not logged in", "fogline login"]);
    dev.log_in();
    assert!(dev.cli(&["list"]).ok().contains("no deployments"));
    deploy(&dev, "sleeper", "3");
    let status = json(&dev.cli(&["status", "sleeper", "-o", "json"]).ok());
    assert_eq!((&status["status"], &status["health"]["ready"]), (&Value::from("running"), &Value::from(3)));

    let scaled = dev.cli(&["scale", "sleeper", "5", "--wait"]).ok();
    assert!(scaled.contains("sleeper: running, 5 of 5 replicas ready"), "{scaled}");
    let before = json(&dev.cli(&["replicas", "sleeper", "-o", "json"]).ok());
    dev.cli(&["scale", "sleeper", "2", "--wait"]).ok();
    let after = json(&dev.cli(&["replicas", "sleeper", "-o", "json"]).ok());
    let ids = |list: &Value| list.as_array().expect("a list").iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&after), ids(&before)[3..], "the three oldest were stopped");

    let history = dev.cli(&["history", "sleeper"]).ok();
    for line in [
        "Scheduled 3 replicas",
        "Scaled up from 3 to 5 replicas (2 added)",
        "Scaled down from 5 to 2 replicas (3 removed)",
    ] {
        assert!(history.contains(line), "{line} in {history}");
    }
    let explained = dev.cli(&["explain", "sleeper"]).ok();
    assert!(explained.contains("node-01") && explained.contains("SCORE"), "{explained}");

    dev.cli(&["stop", "sleeper", "--wait"]).ok();
    assert_eq!(json(&dev.cli(&["replicas", "sleeper", "-o", "json"]).ok()), Value::Array(Vec::new()));
    dev.cli(&["start", "sleeper", "--wait"]).ok();
    dev.cli(&["delete", "sleeper", "--wait"]).ok();
    dev.cli(&["status", "sleeper"]).fails(3, &["no deployment \"sleeper\"", "fogline list"]);
}

#[test]
fn logs_are_whole_lines_that_cannot_harm_a_terminal() {
    let dev = Dev::start();
    dev.log_in();
    deploy(&dev, "talker", "2");
    let all = wait_for("both replicas to have written", || {
        let all = dev.cli(&["logs", "talker"]).ok();
        (all.matches("I am ").count() == 2 && all.matches("red").count() == 2).then_some(all)
    });
    for line in all.lines() {
        assert!(line.contains("@node-0") && line.contains(" | "), "{line}");
    }
    assert!(all.contains("\\u{1b}[31mred") && !all.contains('\u{1b}'), "{all}");
    let replicas = json(&dev.cli(&["replicas", "talker", "-o", "json"]).ok());
    let id = replicas[0]["id"].as_str().expect("an id").to_owned();
    let one = dev.cli(&["logs", "talker", "--replica", &id[24..]]).ok();
    assert!(one.starts_with(&format!("I am {id} on node-")), "{one}");
    assert!(dev.cli(&["logs", "talker", "--replica", &id, "--raw"]).ok().contains("\u{1b}[31mred"));
    dev.cli(&["logs", "talker", "--replica", "ffffffffffff"]).fails(3, &["no replica", "replicas --all"]);
}

#[test]
fn what_does_not_fit_is_5_and_explained() {
    let dev =
        Dev::start_with(&["--nodes", "2", "--node-cpu", "2", "--node-memory-mb", "2048", "--node-storage-gb", "20"]);
    dev.log_in();
    dev.cli(&["deploy", "huge", "--cpu", "16", "--wait", "--", "sleep", "1"])
        .fails(5, &["huge has failed: Insufficient nodes: need 1, found 0", "fogline explain huge"]);
    let explained = dev.cli(&["explain", "huge"]).ok();
    assert!(explained.contains("needs 16 CPU, 2 of 2 free"), "{explained}");
    deploy(&dev, "small", "2");
    dev.cli(&["scale", "small", "50"]).fails(5, &["Insufficient nodes for scale-up", "fogline node list"]);
    assert!(dev.cli(&["status", "small"]).ok().contains("2 of 2 replicas ready"), "nothing was changed");
    dev.cli(&["scale", "small", "101"]).fails(4, &["replicas: 101 is out of range; accepted: 1 to 100"]);
    dev.cli(&["scale", "small", "-1"]).fails(4, &["-1 is out of range"]);
    dev.cli(&["scale", "huge", "1"]).fails(4, &["Cannot scale a failed deployment"]);
    dev.cli(&["deploy", "small", "--", "sleep", "1"]).fails(4, &["small", "exists already", "apply"]);
}

#[test]
fn waiting_has_a_deadline_and_says_how_far_it_came() {
    let dev = Dev::start();
    dev.log_in();
    // Never ready: nobody listens on its port.
    dev.cli(&["deploy", "deaf", "--port", "8080", "--wait", "--timeout", "1s", "--", "sh", "-c", SLEEPER])
        .fails(8, &["deaf was not done within 1s", "0 of 1 replicas ready", "fogline logs deaf"]);
}

#[test]
fn apply_creates_then_changes_then_leaves_alone() {
    let dev = Dev::start();
    dev.log_in();
    let file = dev.home().join("two.yaml");
    let spec = |greeting: &str| {
        ["one", "two"].map(|name| {
            format!(
                "name: {name}\nreplicas: 2\nresources: {{cpu: 0.5, memory: 512, storage: 1}}\nenv: {{GREETING: {greeting}}}\n\
                 command: [sh, -c, \"trap 'exit 0' TERM; while :; do sleep 0.1; done\"]\n"
            )
        }).join("---\n")
    };
    let apply = |args: &[&str]| dev.cli(&[&["apply", "-f", "two.yaml"], args].concat()).ok();
    std::fs::write(&file, spec("hello")).expect("written");
    let planned = apply(&["--dry-run"]);
    assert_eq!(planned.matches("would create").count(), 2, "{planned}");
    assert!(dev.cli(&["list"]).ok().contains("no deployments"), "only planned");
    assert_eq!(apply(&["--wait"]).matches(" created ").count(), 2);
    assert_eq!(apply(&[]).matches(" unchanged ").count(), 2);
    std::fs::write(&file, spec("bye")).expect("written");
    assert_eq!(apply(&["--wait"]).matches(" updated ").count(), 2);
    let replicas = json(&dev.cli(&["replicas", "two", "-o", "json"]).ok());
    let revisions: Vec<_> = replicas.as_array().expect("a list").iter().map(|one| one["revision"].as_u64()).collect();
    assert_eq!(revisions, [Some(2), Some(2)], "--wait waited until all were replaced");
}

#[test]
fn a_node_is_drained_and_taken_back() {
    let dev = Dev::start_with(&["--nodes", "2"]);
    dev.log_in();
    deploy(&dev, "mover", "2");
    dev.cli(&["node", "drain", "node-01"]).ok();
    wait_for("the replica to move", || {
        let replicas = json(&dev.cli(&["replicas", "mover", "-o", "json"]).ok());
        let replicas = replicas.as_array().expect("a list");
        (replicas.len() == 2 && replicas.iter().all(|one| one["node"] == "node-02" && one["ready"] == true))
            .then_some(())
    });
    assert!(dev.cli(&["node", "list"]).ok().lines().any(|line| line.starts_with("node-01  draining")));
    dev.cli(&["node", "uncordon", "node-01"]).ok();
    assert!(dev.cli(&["node"]).ok().lines().any(|line| line.starts_with("node-01  idle")));
    dev.cli(&["node", "cordon", "node-09"]).fails(3, &["no node \"node-09\"", "fogline node list"]);
}

#[test]
fn users_have_their_own_deployments_and_logins() {
    let dev = Dev::start();
    dev.log_in();
    let added = json(&dev.cli(&["user", "add", "ann", "--tier", "pro", "-o", "json"]).ok());
    let password = added["password"].as_str().expect("generated").to_owned();
    assert!(dev.cli(&["user", "list"]).ok().contains("ann"));
    deploy(&dev, "mine", "1");

    let home = dev.home().join("ann");
    std::fs::create_dir(&home).expect("made");
    let server = ("FOGLINE_SERVER", dev.url.as_str());
    let ann = |args: &[&str]| run_in(&home, &[server], args);
    run_in(&home, &[server, ("FOGLINE_PASSWORD", "wrong")], &["login", "-u", "ann"])
        .fails(6, &["check name and password"]);
    run_in(&home, &[server, ("FOGLINE_PASSWORD", &password)], &["login", "-u", "ann"]).ok();
    assert!(ann(&["list"]).ok().contains("no deployments"));
    ann(&["status", "mine"]).fails(3, &["no deployment \"mine\", or it is not yours"]);
    ann(&["user", "list"]).fails(4, &["admin"]);
    ann(&["node", "drain", "node-01"]).fails(4, &["admin"]);
    ann(&["logout"]).ok();
    ann(&["list"]).fails(6, &["not logged in"]);
    dev.cli(&["user", "set", "ann"]).fails(2, &["--role", "--tier"]);
    dev.cli(&["user", "set", "ann", "--disable"]).ok();
    run_in(&home, &[server, ("FOGLINE_PASSWORD", &password)], &["login", "-u", "ann"]).fails(6, &["hint:"]);
    dev.cli(&["user", "delete", "ann"]).ok();
    dev.cli(&["user", "delete", "ann"]).fails(3, &["no user \"ann\""]);
}

#[test]
fn an_access_token_that_has_expired_is_fetched_anew_and_only_once() {
    let dev = Dev::start_with(&["--nodes", "1"]);
    dev.log_in();
    let path = dev.home().join(".config/fogline/credentials.json");
    let login = |contents: &Value| contents["logins"][&dev.url].clone();
    let mut contents = json(&std::fs::read_to_string(&path).expect("kept"));
    let before = login(&contents);
    contents["logins"][&dev.url]["access_expires_at_s"] = Value::from(0);
    std::fs::write(&path, contents.to_string()).expect("written");
    // A refresh token that is shown twice would end the session: the four must agree on who shows it.
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| dev.cli(&["list"]))).collect();
        runs.into_iter().for_each(|run| drop(run.join().expect("it ran").ok()));
    });
    let after = login(&json(&std::fs::read_to_string(&path).expect("kept")));
    assert_ne!(before["refresh_token"], after["refresh_token"]);
    dev.cli(&["list"]).ok();
}

#[test]
fn output_that_nobody_takes_is_told_by_the_exit_code_alone() {
    let dev = Dev::start_with(&["--nodes", "1"]);
    dev.log_in();
    let full = format!("{} node list > /dev/full", crate::harness::FOGLINE);
    let run = |line: &str| {
        std::process::Command::new("sh")
            .args(["-c", line])
            .env("HOME", dev.home())
            .env("FOGLINE_SERVER", &dev.url)
            .output()
            .expect("a shell")
    };
    let ran = run(&full);
    assert_eq!(ran.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("cannot write to standard output"));
    let ran = run(&format!("{} config show --verbose | true", crate::harness::FOGLINE));
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "", "a reader that has gone is no failure");
}
