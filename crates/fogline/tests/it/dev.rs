//! `fogline dev`: starting, not starting, being killed, coming back, leaving nothing.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Dev, PASSWORD, Ran, processes_of, run_in, signal, wait_for};

const SLEEPER: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

fn dev_in(home: &Path, args: &[&str]) -> Ran {
    run_in(home, &[("FOGLINE_ADMIN_PASSWORD", PASSWORD)], &[&["dev", "--listen", "127.0.0.1:0"], args].concat())
}

/// Names and contents of everything under `dir`.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_port_in_use_is_told_and_nothing_is_made() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let home = tempfile::tempdir().expect("a directory");
    let ran = run_in(home.path(), &[], &["dev", "--data", "data", "--listen", &address]);
    ran.fails(7, &[&format!("cannot listen on {address}"), "in use", "--listen"]);
    assert_eq!(contents(home.path()), []);
    assert_eq!(processes_of(home.path()).len(), 0);
}

#[test]
fn a_data_directory_that_cannot_be_used_is_told() {
    let home = tempfile::tempdir().expect("a directory");
    fs::write(home.path().join("file"), "mine").expect("written");
    dev_in(home.path(), &["--data", "file"]).fails(7, &["file"]);
    dev_in(home.path(), &["--data", "file/data"]).fails(7, &["file/data"]);
    // Nobody may make a directory there, not even root.
    dev_in(home.path(), &["--data", "/proc/fogline"]).fails(7, &["/proc/fogline"]);
    assert_eq!(fs::read(home.path().join("file")).expect("there"), b"mine");
    assert_eq!(processes_of(home.path()).len(), 0);
}

#[test]
fn a_damaged_database_is_told_and_left_as_it_is() {
    let home = tempfile::tempdir().expect("a directory");
    let data = home.path().join("data");
    fs::create_dir(&data).expect("made");
    fs::write(data.join("fogline.db"), "this is no database, and it is long enough to be looked at ".repeat(200))
        .expect("written");
    let before = fs::read(data.join("fogline.db")).expect("there");
    dev_in(home.path(), &["--data", "data"]).fails(7, &["fogline.db", "damaged", "backup"]);
    assert_eq!(fs::read(data.join("fogline.db")).expect("there"), before);
    assert_eq!(processes_of(home.path()).len(), 0);
    run_in(home.path(), &[], &["db", "status", "--data", "data"]).fails(7, &["damaged"]);
    run_in(home.path(), &[], &["db", "status", "--data", "nowhere"]).fails(3, &["no database", "db migrate"]);
}

#[test]
fn a_second_one_on_the_same_data_is_told_who_has_it() {
    let dev = Dev::start_with(&["--nodes", "1"]);
    let data = dev.data.to_str().expect("a path").to_owned();
    dev_in(dev.home(), &["--data", &data]).fails(7, &["in use", &format!("process {}", dev.pid())]);
    run_in(dev.home(), &[], &["db", "status", "--data", &data]).fails(7, &["in use"]);
    dev.log_in();
    assert!(dev.cli(&["node", "list"]).ok().contains("node-01"), "the first one goes on");
}

#[test]
fn a_password_that_is_too_short_is_refused() {
    let home = tempfile::tempdir().expect("a directory");
    run_in(home.path(), &[("FOGLINE_ADMIN_PASSWORD", "short")], &["dev", "--data", "d", "--listen", "127.0.0.1:0"])
        .fails(7, &["password", "bytes"]);
    assert_eq!(processes_of(home.path()).len(), 0);
}

#[test]
fn the_administrators_password_is_made_up_once_and_is_nowhere_in_the_log() {
    let mut dev = Dev::start_as(&["--nodes", "1"], None, &[]);
    let said = dev.said();
    let words = "the first administrator is `admin` with the password ";
    let password = said.split_once(words).expect("it is told").1.lines().next().expect("a line").trim().to_owned();
    assert!(password.len() >= 12, "{said}");
    assert_eq!(said.matches(&password).count(), 1, "{said}");
    let log_in = |dev: &Dev, password: &str| {
        run_in(dev.home(), &[("FOGLINE_SERVER", &dev.url), ("FOGLINE_PASSWORD", password)], &["login"])
    };
    log_in(&dev, &password).ok();
    log_in(&dev, "admin").fails(6, &[]);
    dev.cli(&["deploy", "some", "--wait", "--", "sh", "-c", SLEEPER]).ok();

    assert!(dev.stop().success());
    assert_eq!(dev.said().matches(&password).count(), 1, "told once: {}", dev.said());
    dev.launch();
    assert!(!dev.said().contains(&password) && !dev.said().contains(words), "{}", dev.said());
    log_in(&dev, &password).ok();
    let files = contents(&dev.data);
    assert!(files.iter().any(|(path, bytes)| path.ends_with("agent.log") && !bytes.is_empty()), "{:?}", dev.data);
    for (path, bytes) in files {
        assert!(!bytes.windows(password.len()).any(|part| part == password.as_bytes()), "in clear in {path}");
    }
}

#[test]
fn the_agent_gets_nothing_of_the_environment_but_its_settings() {
    let variables = [
        ("FOGLINE_TOKEN", "a-token-of-somebody"),
        ("FOGLINE_PASSWORD", "a-password-of-somebody"),
        ("AWS_SECRET_ACCESS_KEY", "a-key-of-somebody"),
        ("FOGLINE_LOG_LEVEL", "debug"),
    ];
    let dev = Dev::start_as(&["--nodes", "1"], Some(PASSWORD), &variables);
    let environ = fs::read(format!("/proc/{}/environ", dev.agent_pid().expect("an agent runs"))).expect("readable");
    let environ = String::from_utf8(environ).expect("text");
    let names: BTreeSet<&str> =
        environ.split_terminator('\0').filter_map(|variable| Some(variable.split_once('=')?.0)).collect();
    let known = ["PATH", "LANG", "LC_ALL", "TZ"];
    let settings = [
        "FOGLINE_AGENT_ADDRESS",
        "FOGLINE_AGENT_ALLOWED_MOUNTS",
        "FOGLINE_AGENT_DOCKER",
        "FOGLINE_AGENT_IMAGE_GC_DISK_PERCENT",
        "FOGLINE_AGENT_IMAGE_GC_H",
        "FOGLINE_AGENT_PORTS",
        "FOGLINE_AGENT_REGISTRY_AUTH",
        "FOGLINE_LOG_FORMAT",
        "FOGLINE_LOG_LEVEL",
        "FOGLINE_PROXY_ACCESS_LOG",
        "FOGLINE_PROXY_CERTIFICATES",
        "FOGLINE_PROXY_LISTEN",
        "FOGLINE_PROXY_MAX_CONNECTIONS",
        "FOGLINE_PROXY_NAME",
        "FOGLINE_PROXY_TCP_PORTS",
        "FOGLINE_PROXY_TLS_LISTEN",
        "FOGLINE_PROXY_TRUSTED",
        "FOGLINE_PROXY_WORKERS",
    ];
    assert!(names.iter().all(|name| known.contains(name) || settings.contains(name)), "{names:?}");
    assert!(settings.iter().all(|name| names.contains(name)), "{names:?}");
    assert!(environ.contains("FOGLINE_LOG_LEVEL=debug") && !environ.contains("of-somebody"), "{names:?}");
}

#[test]
fn an_agent_with_other_settings_is_replaced_and_replicas_stay() {
    let mut dev = Dev::start_with(&["--nodes", "1"]);
    dev.log_in();
    dev.cli(&["deploy", "kept", "--wait", "--", "sh", "-c", SLEEPER]).ok();
    let process = |dev: &Dev| -> Value {
        let shown: Value = serde_json::from_str(&dev.cli(&["replicas", "kept", "-o", "json"]).ok()).expect("JSON");
        shown[0]["container_id"].clone()
    };
    let (before, agent) = (process(&dev), dev.agent_pid().expect("an agent runs"));
    dev.kill_server();
    dev.set_other_ports();
    dev.launch();
    assert!(dev.agent_pid().is_some_and(|pid| pid != agent), "{}", dev.said());
    wait_for("the replica to be ready again", || {
        dev.cli(&["status", "kept"]).ok().contains("1 of 1 replicas ready").then_some(())
    });
    assert_eq!(process(&dev), before, "it was adopted");
}

#[test]
fn a_second_signal_says_what_is_left_and_how_to_end_it() {
    let mut dev = Dev::start_with(&["--nodes", "1"]);
    dev.log_in();
    dev.cli(&["deploy", "left", "--wait", "--", "sh", "-c", SLEEPER]).ok();
    // An agent that stands still cannot stop when asked, so there is time for a second signal.
    let agent = dev.agent_pid().expect("an agent runs");
    signal(agent, Signal::STOP);
    signal(dev.pid(), Signal::INT);
    wait_for("the first signal to be noticed", || dev.said().contains("Stopping").then_some(()));
    let status = dev.stop();
    let said = dev.said();
    signal(agent, Signal::CONT);
    assert_eq!(status.code(), Some(130), "{said}");
    let data = dev.data.display().to_string();
    for part in [
        "left running",
        &format!("process {agent}"),
        &format!("`fogline dev --data {data}`"),
        &format!("`kill {agent}`"),
    ] {
        assert!(said.contains(part), "{part} in:\n{said}");
    }
    assert!(!said.contains("nothing is left running"), "{said}");
    // What it said helps.
    dev.launch();
    assert!(dev.stop().success());
    assert_eq!(dev.processes(), Default::default());
}

#[test]
fn a_killed_server_comes_back_and_goes_on_with_what_runs() {
    let mut dev = Dev::start_with(&["--nodes", "3"]);
    dev.log_in();
    dev.cli(&["deploy", "steady", "--replicas", "3", "--wait", "--", "sh", "-c", SLEEPER]).ok();
    let replicas = |dev: &Dev| -> Vec<(String, String, u64)> {
        let shown: Value = serde_json::from_str(&dev.cli(&["replicas", "steady", "-o", "json"]).ok()).expect("JSON");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        shown
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| (text(&one["id"]), text(&one["container_id"]), one["restarts"].as_u64().expect("a count")))
            .collect()
    };
    let (before, agent) = (replicas(&dev), dev.agent_pid().expect("an agent runs"));
    dev.kill_server();
    assert_eq!(dev.agent_pid(), Some(agent), "the agent runs on");
    for (id, ..) in &before {
        assert!(!dev.replica_processes(id).is_empty(), "replica {id} runs on");
    }
    dev.launch();
    assert!(dev.said().contains("going on with the agent"), "{}", dev.said());
    assert_eq!(dev.agent_pid(), Some(agent), "no other agent was started");
    wait_for("all to be ready again", || {
        dev.cli(&["status", "steady"]).ok().contains("3 of 3 replicas ready").then_some(())
    });
    assert_eq!(replicas(&dev), before, "same replicas, same processes, no restart");
}

#[test]
fn a_killed_agent_is_replaced_and_adopts_what_runs() {
    let dev = Dev::start_with(&["--nodes", "2"]);
    dev.log_in();
    dev.cli(&["deploy", "steady", "--replicas", "2", "--wait", "--", "sh", "-c", SLEEPER]).ok();
    let pids = |dev: &Dev| -> Vec<String> {
        let shown: Value = serde_json::from_str(&dev.cli(&["replicas", "steady", "-o", "json"]).ok()).expect("JSON");
        shown.as_array().expect("a list").iter().map(|one| one["container_id"].to_string()).collect()
    };
    let (before, agent) = (pids(&dev), dev.agent_pid().expect("an agent runs"));
    signal(agent, Signal::KILL);
    let other = wait_for("another agent", || dev.agent_pid().filter(|pid| *pid != agent));
    dev.cli(&["scale", "steady", "3", "--wait"]).ok();
    assert_eq!(pids(&dev)[..2], before, "nothing was restarted");
    assert_eq!(dev.agent_pid(), Some(other));
}

#[test]
fn told_to_stop_it_leaves_nothing_and_the_next_start_runs_it_again() {
    let mut dev = Dev::start_with(&["--nodes", "2"]);
    dev.log_in();
    dev.cli(&["deploy", "back", "--replicas", "2", "--wait", "--", "sh", "-c", SLEEPER]).ok();
    let status = dev.stop();
    assert!(status.success(), "{status}");
    assert!(dev.said().contains("2 replicas were stopped"), "{}", dev.said());
    assert_eq!(dev.processes(), Default::default());
    dev.launch();
    wait_for("both replicas to run again", || {
        dev.cli(&["status", "back"]).ok().contains("2 of 2 replicas ready").then_some(())
    });
}

#[test]
fn keep_running_leaves_agent_and_replicas_and_other_nodes_replace_the_agent() {
    let mut dev = Dev::start_with(&["--nodes", "1", "--keep-running"]);
    dev.log_in();
    dev.cli(&["deploy", "kept", "--wait", "--", "sh", "-c", SLEEPER]).ok();
    let shown: Value = serde_json::from_str(&dev.cli(&["replicas", "kept", "-o", "json"]).ok()).expect("JSON");
    let pid = shown[0]["container_id"].as_str().expect("a process id").to_owned();
    let runs = |dev: &Dev| dev.processes().keys().any(|one| one.to_string() == pid);
    let agent = dev.agent_pid().expect("an agent runs");
    assert!(dev.stop().success());
    assert_eq!((dev.agent_pid(), runs(&dev)), (Some(agent), true));
    dev.set_args(&["--nodes", "2"]);
    dev.launch();
    assert_ne!(dev.agent_pid(), Some(agent), "an agent for two nodes took its place");
    wait_for("both nodes", || dev.cli(&["node", "list"]).ok().contains("node-02").then_some(()));
    wait_for("the replica to be told of", || {
        dev.cli(&["status", "kept"]).ok().contains("1 of 1 replicas ready").then_some(())
    });
    let shown: Value = serde_json::from_str(&dev.cli(&["replicas", "kept", "-o", "json"]).ok()).expect("JSON");
    assert_eq!((shown[0]["container_id"].as_str(), runs(&dev)), (Some(pid.as_str()), true), "and adopted the replica");
}
