//! The demo, as `make demo` runs it.

use std::process::Command;

use rustix::process::Signal;

use crate::harness::{processes_of, run_in, signal, spawn_in, wait_for};

#[test]
fn the_demo_plays_to_its_end_and_leaves_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let temporary = std::fs::canonicalize(home.path()).expect("a path").join("tmp");
    std::fs::create_dir(&temporary).expect("made");
    let variables = [
        ("TMPDIR", temporary.to_str().expect("a plain path")),
        ("FOGLINE_AGENT_PORTS", "14000-14099"),
        // What the person at the terminal uses otherwise must not get into it.
        ("FOGLINE_SERVER", "http://127.0.0.1:9"),
        ("FOGLINE_TOKEN", "not-for-the-demo"),
        ("FOGLINE_OUTPUT", "json"),
    ];
    let shown = run_in(home.path(), &variables, &["demo"]).ok();
    for part in [
        "python3 -m http.server",
        "3 nodes are there",
        "hello from node-01",
        "hello: running, 5 of 5 replicas ready",
        "hello: running, 2 of 2 replicas ready",
        "$ kill -9 ",
        "Insufficient nodes: need 4, found 3",
        "(exit code 5)",
        "Scaled down from 5 to 2 replicas (3 removed)",
        "more replicas serve ",
        "and none failed",
        "no replica is left ",
        "answered after ",
        "No process of the demo is left running.",
    ] {
        assert!(shown.contains(part), "{part} in:\n{shown}");
    }
    assert_eq!(std::fs::read_dir(&temporary).expect("readable").count(), 0, "its directory is removed");
    assert_eq!(processes_of(&temporary).len(), 0);
    assert!(!home.path().join(".config").exists(), "nobody's login was touched");
}

#[test]
fn interrupted_twice_it_leaves_nothing_of_its_own_and_touches_nobody_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = std::fs::canonicalize(directory.path()).expect("a path");
    let temporary = home.join("tmp");
    std::fs::create_dir_all(&temporary).expect("made");
    let variables = [("TMPDIR", temporary.to_str().expect("a plain path")), ("FOGLINE_AGENT_PORTS", "14100-14199")];
    let log = home.join("demo.log");
    let mut demo = spawn_in(&home, &variables, &["demo"], &log);
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    wait_for("replicas", || said().contains("$ curl ").then_some(()));
    let root = std::fs::read_dir(&temporary).expect("readable").flatten().next().expect("its directory").path();
    // Somebody looks at what it does.
    let mut stranger = Command::new("sleep").arg("1000").current_dir(&root).spawn().expect("sleep runs");
    let agent = wait_for("the agent", || {
        processes_of(&root).into_iter().find(|(_, line)| line.contains("\0agent\0")).map(|(pid, _)| pid)
    });
    // It stands still, so that clearing away takes until the second signal.
    signal(agent, Signal::STOP);
    let pid = i32::try_from(demo.id()).expect("a process id");
    signal(pid, Signal::INT);
    wait_for("the first signal to be noticed", || said().contains("Ctrl-C for the server").then_some(()));
    signal(pid, Signal::INT);
    let status = wait_for("the demo to end", || demo.try_wait().expect("asked"));
    let lives = stranger.try_wait().expect("asked").is_none();
    let own = i32::try_from(stranger.id()).expect("a process id");
    let left: Vec<_> = processes_of(&root).into_iter().filter(|(pid, _)| *pid != own).collect();
    stranger.kill().expect("killed");
    stranger.wait().expect("it ends");
    assert_eq!(status.code(), Some(130), "{}", said());
    assert!(lives, "a stranger was killed");
    assert_eq!(left, []);
    assert!(!root.exists(), "{}", said());
    assert!(said().contains("interrupted twice"), "{}", said());
}

#[test]
fn a_demo_without_its_service_says_what_to_install() {
    let home = tempfile::tempdir().expect("a directory");
    run_in(home.path(), &[("PATH", "/nowhere")], &["demo"])
        .fails(1, &["no python3 on PATH", "apt-get install python3"]);
}
