//! `fogline config`: which value wins, and who said so.

use crate::harness::run_in;

#[test]
fn every_setting_says_where_it_comes_from() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(
        home.path().join("fogline.toml"),
        "heartbeat_interval_s = 2\n[tier.free]\nreplicas = \"unlimited\"\n",
    )
    .expect("written");
    let variables = [("FOGLINE_LISTEN", "127.0.0.1:7777"), ("FOGLINE_ADMIN_PASSWORD", "secret-word")];
    let shown = run_in(home.path(), &variables, &["config", "show", "--config", "fogline.toml"]).ok();
    for line in [
        ["listen", "127.0.0.1:7777", "environment FOGLINE_LISTEN"],
        ["heartbeat_interval_s", "2", "file fogline.toml"],
        ["tier.free.replicas", "unlimited", "file fogline.toml"],
        ["writer_queue", "8192", "default"],
        ["admin_password", "(hidden)", "environment FOGLINE_ADMIN_PASSWORD"],
    ] {
        let found =
            shown.lines().any(|shown| line.iter().all(|part| shown.contains(part)) && shown.starts_with(line[0]));
        assert!(found, "{line:?} in\n{shown}");
    }
    // Some write a key into the path.
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!shown.contains("secret-word"));
    let json = run_in(home.path(), &variables, &["config", "show", "-o", "json", "--config", "fogline.toml"]).ok();
    let lines: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let listen = lines.as_array().expect("a list").iter().find(|line| line["key"] == "listen").expect("it is there");
    assert_eq!((listen["value"].as_str(), listen["flag"].as_str()), (Some("127.0.0.1:7777"), Some("listen")));
}

#[test]
fn bad_settings_stop_every_command_that_needs_them() {
    let home = tempfile::tempdir().expect("a directory");
    let bad = [("FOGLINE_LISTEN", "everywhere"), ("FOGLINE_NODE_TIMEOUT_S", "1")];
    for args in [&["config", "check"][..], &["server"], &["dev"]] {
        run_in(home.path(), &bad, args)
            .fails(4, &["FOGLINE_LISTEN", "such as 127.0.0.1:8000", "FOGLINE_NODE_TIMEOUT_S", "config show"]);
    }
    assert_eq!(std::fs::read_dir(home.path()).expect("readable").count(), 0, "nothing was made");
    run_in(home.path(), &[], &["config", "check", "--config", "nowhere.toml"])
        .fails(4, &["nowhere.toml", "No such file"]);
    std::fs::write(home.path().join("bad.toml"), "listen = \n").expect("written");
    run_in(home.path(), &[], &["config", "check", "--config", "bad.toml"]).fails(4, &["bad.toml", "line 1"]);
    std::fs::write(home.path().join("typo.toml"), "lissten = \"127.0.0.1:1\"\n").expect("written");
    run_in(home.path(), &[], &["config", "check", "--config", "typo.toml"])
        .fails(4, &["lissten", "did you mean listen?"]);
    let ports = [("FOGLINE_AGENT_PORTS", "30000-20000")];
    for args in [&["config", "check"][..], &["agent"], &["dev"]] {
        run_in(home.path(), &ports, args)
            .fails(4, &["agent.ports = \"30000-20000\"", "FOGLINE_AGENT_PORTS", "such as 20000-29999"]);
    }
    assert!(!home.path().join("fogline-data").exists(), "nothing was made");
    let together = [("FOGLINE_HEARTBEAT_INTERVAL_S", "10")];
    run_in(home.path(), &together, &["config", "check"]).fails(4, &["three heartbeats"]);
}

#[test]
fn good_settings_are_told_to_be_fine() {
    let home = tempfile::tempdir().expect("a directory");
    let ran = run_in(home.path(), &[("FOGLINE_LISTN", "127.0.0.1:1")], &["config", "check"]);
    assert!(ran.stderr.contains("did you mean FOGLINE_LISTEN?"), "{}", ran.stderr);
    assert!(ran.ok().contains("fine"));
}

#[test]
fn the_password_of_a_database_is_never_shown() {
    let home = tempfile::tempdir().expect("a directory");
    let variables = [("FOGLINE_DATABASE_URL", "postgres://ada:hunter2@127.0.0.1:1/fogline")];
    for args in [&["config", "show", "--verbose"][..], &["config", "show", "--output", "json"]] {
        let shown = run_in(home.path(), &variables, args).ok();
        assert!(shown.contains("database_url") && !shown.contains("hunter2"), "{shown}");
    }
    let server = ["server", "--listen", "127.0.0.1:0", "--agent-listen", "127.0.0.1:0"];
    for args in [&server[..], &["db", "status"], &["db", "migrate"]] {
        let said = run_in(home.path(), &variables, args).fails(7, &["127.0.0.1:1"]);
        assert!(!said.contains("hunter2"), "{said}");
    }
    let nonsense = [("FOGLINE_DATABASE_URL", "mysql://ada:hunter2@db/fogline")];
    let said = run_in(home.path(), &nonsense, &["db", "status"]).fails(2, &["postgres://USER@HOST"]);
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn servers_that_metrics_come_from_are_in_the_file_alone() {
    let home = tempfile::tempdir().expect("a directory");
    let write = |text: &str| std::fs::write(home.path().join("f.toml"), text).expect("written");
    write(
        "metric_allow_private = \"off\"\n[metric_connections.Prom-1]\nkind = \"prometheus\"\nurl = \"http://p:9090/canary-key/?canary=1\"\n\
         bearer_token_file = \"nowhere.token\"\n",
    );
    let shown = run_in(home.path(), &[], &["config", "show", "--config", "f.toml"]).ok();
    for line in [
        ["metric_connections.Prom-1.url", "http://p:9090", "file f.toml"],
        ["metric_connections.Prom-1.bearer_token_file", "nowhere.token", "file f.toml"],
        ["metric_allow_private", "off", "file f.toml"],
        ["prometheus_url", "-", "default"],
    ] {
        let found =
            shown.lines().any(|shown| line.iter().all(|part| shown.contains(part)) && shown.starts_with(line[0]));
        assert!(found, "{line:?} in\n{shown}");
    }
    // Some write a key into the path.
    assert!(!shown.contains("canary"), "{shown}");
    // A server that cannot be asked as it is set up stops the start, not a decision later.
    run_in(home.path(), &[], &["server", "--listen", "127.0.0.1:0", "--agent-listen", "127.0.0.1:0", "-c", "f.toml"])
        .fails(7, &["metric_connections.Prom-1", "nowhere.token"]);
    write("[metric_connections.db]\nkind = \"oracle\"\nurl = \"x\"\n");
    run_in(home.path(), &[], &["config", "check", "--config", "f.toml"])
        .fails(4, &["metric_connections.db", "postgresql, redis"]);
}
