//! Each documented exit code, and words that say what to do next.

use std::net::TcpListener;

use crate::harness::{Ran, run_in, run_with_input};

fn fogline(args: &[&str]) -> Ran {
    let home = tempfile::tempdir().expect("a directory");
    run_in(home.path(), &[], args)
}

#[test]
fn a_command_line_that_makes_no_sense_is_2() {
    fogline(&["frobnicate"]).fails(2, &["unrecognized subcommand", "--help"]);
    fogline(&["scale", "web"]).fails(2, &["<REPLICAS>"]);
    fogline(&["deploy", "web", "--cpu", "NaN", "--", "true"]).fails(2, &["--cpu", "no number of cores"]);
    fogline(&["deploy", "web", "--env", "NAME", "--", "true"]).fails(2, &["NAME=VALUE"]);
    fogline(&["list", "--server", "ftp://host"]).fails(2, &["neither http nor https", "hint:"]);
    fogline(&["stop", "web", "--wait", "--timeout", "soon"]).fails(2, &["90s, 2m or 1h30m"]);
    fogline(&["agent"]).fails(2, &["--token-file", "agent.token"]);
    fogline(&["db", "revert"]).fails(2, &["may lose data", "--yes"]);
    fogline(&["shim"]).fails(2, &["started by an agent"]);
}

#[test]
fn not_logged_in_is_6_and_says_how_to() {
    fogline(&["list", "--server", "http://127.0.0.1:9"])
        .fails(6, &["not logged in", "fogline login --server http://127.0.0.1:9"]);
}

#[test]
fn an_unreachable_server_is_7_and_says_what_to_check() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let home = tempfile::tempdir().expect("a directory");
    let server = format!("http://{closed}");
    let variables = [("FOGLINE_TOKEN", "token"), ("FOGLINE_SERVER", server.as_str())];
    run_in(home.path(), &variables, &["list"])
        .fails(7, &["cannot reach the server", "Connection refused", "fogline dev"]);
    let login = [("FOGLINE_PASSWORD", "secret"), ("FOGLINE_SERVER", server.as_str())];
    run_in(home.path(), &login, &["login"]).fails(7, &["cannot reach the server"]);
}

#[test]
fn something_that_is_no_fogline_server_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = format!("http://{}", listener.local_addr().expect("an address"));
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a call");
        let mut request = [0; 4096];
        let _ = std::io::Read::read(&mut stream, &mut request);
        let body = "<h1>It works!\u{1b}[2J</h1>";
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        std::io::Write::write_all(&mut stream, answer.as_bytes()).expect("answered");
    });
    let home = tempfile::tempdir().expect("a directory");
    let variables = [("FOGLINE_TOKEN", "token"), ("FOGLINE_SERVER", server.as_str())];
    let said = run_in(home.path(), &variables, &["list"]).fails(1, &["no answer of a Fogline server", "It works!"]);
    assert!(!said.contains('\u{1b}'), "an escape sequence reached the terminal: {said:?}");
    answering.join().expect("answered");
}

#[test]
fn a_password_is_never_a_flag_and_never_empty() {
    let home = tempfile::tempdir().expect("a directory");
    run_with_input(home.path(), &[], &["login", "--server", "http://127.0.0.1:9"], "\n")
        .fails(2, &["no password", "FOGLINE_PASSWORD"]);
    fogline(&["login", "--password", "secret"]).fails(2, &["unexpected argument"]);
}

#[test]
fn damaged_credentials_are_told_with_what_to_do() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("credentials.json");
    std::fs::write(&path, "not json").expect("written");
    let variables = [("FOGLINE_CREDENTIALS", path.to_str().expect("a path"))];
    run_in(home.path(), &variables, &["list"]).fails(1, &["damaged", "fogline login"]);
}

#[test]
fn help_names_every_exit_code_and_every_command() {
    let help = fogline(&["--help"]).ok();
    for code in 0..=8 {
        assert!(help.contains(&format!("\n  {code}  ")), "{code} in {help}");
    }
    for command in [
        "server",
        "agent",
        "dev",
        "demo",
        "login",
        "apply",
        "deploy",
        "scale",
        "status",
        "list",
        "history",
        "replicas",
        "logs",
        "explain",
        "stop",
        "start",
        "delete",
        "node",
        "user",
        "db",
        "config",
        "schema",
        "completions",
    ] {
        assert!(help.contains(&format!("  {command} ")), "{command} in {help}");
        assert!(fogline(&[command, "--help"]).ok().contains("Usage: fogline "), "{command}");
    }
    assert!(!help.contains("shim"), "agents start shims, people do not");
}

#[test]
fn shells_get_their_completions() {
    for (shell, part) in [("bash", "_fogline"), ("zsh", "#compdef fogline"), ("fish", "complete -c fogline")] {
        assert!(fogline(&["completions", shell]).ok().contains(part), "{shell}");
    }
    fogline(&["completions", "tcsh"]).fails(2, &["possible values"]);
}

#[test]
fn the_version_is_the_packages() {
    assert_eq!(fogline(&["--version"]).ok().trim(), concat!("fogline ", env!("CARGO_PKG_VERSION")));
}
