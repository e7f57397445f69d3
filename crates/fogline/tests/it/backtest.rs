//! `fogline backtest`: the how-to's commands, the page, and what is refused with its line.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Ran, run_in};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A directory in which `examples/` is, as in a checkout.
fn checkout() -> TempDir {
    let home = tempfile::tempdir().expect("a directory");
    let examples = root().join("examples").canonicalize().expect("examples");
    std::os::unix::fs::symlink(examples, home.path().join("examples")).expect("linked");
    home
}

#[test]
fn every_command_of_the_how_to_works_as_it_stands_there() {
    let text = std::fs::read_to_string(root().join("docs/how-to/backtest-a-policy.md")).expect("readable");
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let commands: Vec<&str> = blocks.flat_map(|(block, _)| block.lines()).collect();
    assert!(commands.len() >= 4, "{commands:?}");
    let home = checkout();
    for command in commands {
        let args: Vec<&str> = command.strip_prefix("fogline ").expect("a command of ours").split_whitespace().collect();
        let said = run_in(home.path(), &[], &args).ok();
        if args.contains(&"json") {
            let answer: Value = serde_json::from_str(&said).expect("JSON");
            let changes = answer["policy"]["changes"].as_array().expect("a list");
            assert!(changes.iter().all(|change| change["reason"].as_str().is_some_and(|why| why.contains("scaled"))));
            assert!(answer["policy"]["figures"]["replica_hours"].as_f64().expect("a figure") > 48.0);
            assert_eq!(answer["missing_metrics"], Value::Array(Vec::new()));
        } else {
            let header: Vec<&str> = said.lines().next().expect("a table").split_whitespace().collect();
            assert_eq!(header, ["FIGURE", "web", "STATIC", "HPA"], "{said}");
            for row in ["lacking", "replica-hours", "reversals", "to capacity", "last change"] {
                assert!(said.lines().any(|line| line.starts_with(row)), "no {row} in\n{said}");
            }
        }
    }
    page_needs_nothing_else(&std::fs::read_to_string(home.path().join("report.html")).expect("written"));
}

fn page_needs_nothing_else(page: &str) {
    for part in [
        "<!doctype html>",
        "<html lang=\"en\">",
        "<title>Backtest of web",
        "role=\"img\"",
        "<title id=\"chart-title\">",
    ] {
        assert!(page.contains(part), "no {part}");
    }
    for part in [
        "prefers-color-scheme:dark",
        "<th scope=\"row\">",
        "class=\"line demanded\"",
        "class=\"line supplied\"",
        ">HPA</th>",
    ] {
        assert!(page.contains(part), "no {part}");
    }
    for part in ["<script", "src=", "href=", "url(", "@import", "http:", "https:", "NaN", "inf"] {
        assert!(!page.contains(part), "{part} in the page");
    }
    // Every element that is opened is closed, in order.
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(1).filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag)) {
        let name = tag.trim_start_matches('/').split_whitespace().next().unwrap_or_default();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closed out of order");
        } else if !tag.ends_with('/') && !matches!(name, "!doctype" | "meta") {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?} are never closed");
}

fn refused(policy: &str, series: &str, flags: &[&str]) -> Ran {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join("policy.yaml"), policy).expect("written");
    std::fs::write(home.path().join("load.csv"), series).expect("written");
    run_in(home.path(), &[], &[&["backtest", "-f", "policy.yaml", "--series", "load.csv"], flags].concat())
}

const POLICY: &str = "name: web\ntarget_type: deployment\n";
const SERIES: &str = "time,queue\n0,1\n60,2\n";

#[test]
fn what_is_wrong_is_told_with_its_line() {
    refused("name: web\ntarget_type: deployment\nmin_replica: 1\n", SERIES, &[])
        .fails(4, &["policy.yaml:3", "min_replica"]);
    refused("name: web\ntarget_type: deployment\nmax_replicas: 0\n", SERIES, &[])
        .fails(4, &["max_replicas: 0 is out of range", "accepted: 1 to 100", "examples/scaling/policy.yaml"]);
    let bad = "time,queue\n0,1\nnoon,2\n120,many\n60,3\n";
    refused(POLICY, bad, &["--capacity", "1"]).fails(
        4,
        &["load.csv is no series", "line 3: \"noon\" is no time", "line 4: \"many\" is no number, in column queue"],
    );
    refused(POLICY, "time,queue\n60,1\n0,2\n", &["--capacity", "1"]).fails(4, &["line 3: the time does not rise"]);
    refused(POLICY, SERIES, &[]).fails(2, &["how much queue does one replica carry", "--capacity"]);
    refused(POLICY, SERIES, &["--capacity", "0"]).fails(4, &["a capacity of 0"]);
    refused(POLICY, SERIES, &["--capacity", "1", "--load", "lag"]).fails(4, &["no column \"lag\"", "it has queue"]);
    refused(POLICY, "time,a,b\n0,1,1\n60,2,2\n", &["--capacity", "1"])
        .fails(2, &["which column is the load", "a, b", "--load"]);
    refused(POLICY, SERIES, &["--interval", "0"]).fails(2, &["at least a second"]);
    refused(POLICY, SERIES, &["--price", "free"]).fails(2, &["no price"]);
    let home = tempfile::tempdir().expect("a directory");
    run_in(home.path(), &[], &["backtest", "-f", "gone.yaml", "--series", "load.csv"]).fails(3, &["gone.yaml"]);
}

#[test]
fn a_metric_that_the_series_has_not_is_told() {
    let ran =
        refused(&format!("{POLICY}load_score: {{}}\n"), "time,request_rate\n0,10\n60,20\n", &["--capacity", "100"]);
    assert!(ran.stderr.contains("no column memory_percent"), "{}", ran.stderr);
    ran.ok();
}

#[test]
fn a_hostile_name_stays_text() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join("policy.yaml"), POLICY).expect("written");
    std::fs::write(home.path().join("load.csv"), "time,<script>alert(1)</script>\n0,1\n60,200\n").expect("written");
    let args = ["backtest", "-f", "policy.yaml", "--series", "load.csv", "--capacity", "10", "--html", "page.html"];
    run_in(home.path(), &[], &args).ok();
    let page = std::fs::read_to_string(home.path().join("page.html")).expect("written");
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{page}");
}
