//! The demo, as `make demo` runs it.

use crate::harness::{processes_of, run_in};

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
        "No process of the demo is left running.",
    ] {
        assert!(shown.contains(part), "{part} in:\n{shown}");
    }
    assert_eq!(std::fs::read_dir(&temporary).expect("readable").count(), 0, "its directory is removed");
    assert_eq!(processes_of(&temporary).len(), 0);
    assert!(!home.path().join(".config").exists(), "nobody's login was touched");
}

#[test]
fn a_demo_without_its_service_says_what_to_install() {
    let home = tempfile::tempdir().expect("a directory");
    run_in(home.path(), &[("PATH", "/nowhere")], &["demo"])
        .fails(1, &["no python3 on PATH", "apt-get install python3"]);
}
