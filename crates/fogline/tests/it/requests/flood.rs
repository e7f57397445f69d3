//! Five thousand requests at once for one that sleeps: one replica is started for all of them, and where it does not come
//! up, each is told why in time, for a bounded price that others do not pay.

use std::fs;
use std::net::TcpStream;

use fogline_testbed::{Load, LoadPlan};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit, setrlimit};
use serde_json::{Value, json};

use super::{Site, begin, end};
use crate::api::sqlite;
use crate::harness::{signal, wait_for};

const REQUESTS: usize = 5_000;
/// What they may cost the process that holds them, megabytes. Each has a connection.
const MEMORY_MB: u64 = 400;

#[test]
fn five_thousand_requests_wake_one_replica_and_are_answered() {
    let site = Site::start();
    let id = site.deploy("web", &json!({"replicas": 1}));
    site.let_sleep("web");
    site.until_asleep(&id);
    let before = resident_mb(&site, "VmRSS:");
    let mut requests = flood(&site);
    for stream in &mut requests {
        let (status, body) = end(stream);
        assert_eq!((status, body.as_str()), (200, "health\n"));
    }
    assert!(resident_mb(&site, "VmHWM:") - before < MEMORY_MB, "too much memory was used");
    assert_eq!(rows(&site, &id), 2, "the one that fell asleep, and the one that was woken");
    assert_eq!(wakes(&site), 1);
}

#[test]
fn where_the_start_fails_all_are_told_why_and_others_notice_nothing() {
    let site = Site::start();
    let broken = site.dev.home().join("broken");
    let script =
        format!("[ -e {} ] && exit 1; exec {}", broken.display(), fogline_testbed::service_program().display());
    let traffic = json!({"hold": {"timeout_s": 8}});
    let id = site.deploy("web", &json!({"replicas": 1, "command": ["sh", "-c", script], "traffic": traffic}));
    site.deploy("other", &json!({"replicas": 1}));
    site.let_sleep("web");
    site.until_asleep(&id);
    fs::write(&broken, "").expect("written");
    let others = Load::start(&LoadPlan { rate: Some(50), ..site.plan("other", "/") });
    let before = resident_mb(&site, "VmRSS:");
    let mut requests = flood(&site);
    for stream in &mut requests {
        let (status, body) = end(stream);
        assert_eq!(status, 503, "{body}");
        assert!(body.contains("within 8 s") && body.contains("it ends right after its start"), "no reason in {body}");
    }
    assert!(resident_mb(&site, "VmHWM:") - before < MEMORY_MB, "too much memory was used");
    let rows = rows(&site, &id);
    assert!((2..=8).contains(&rows), "{rows} replicas: each failure is followed by a longer pause");
    assert_eq!(wakes(&site), 1, "one wake is enough");
    let others = others.stop();
    assert!(others.is_flawless() && others.good() > 0, "{others:#?}");
}

#[test]
fn the_front_door_may_open_what_the_system_allows_and_replicas_what_the_agent_was_given() {
    let site = Site::start();
    let id = site.deploy("web", &json!({"replicas": 1}));
    let (first, before) = (site.dev.agent_pid().expect("it runs"), site.live(&id));
    // As if all had been started by somebody with less.
    let (given, hard) = (900, getrlimit(Resource::Nofile).maximum);
    prlimit(Pid::from_raw(site.dev.pid()), Resource::Nofile, Rlimit { current: Some(given), maximum: hard })
        .expect("one's own child");
    signal(first, Signal::KILL);
    let agent = wait_for("another agent", || site.dev.agent_pid().filter(|pid| *pid != first));
    site.call("POST", &format!("/api/v1/deployments/{id}/scale"), 200, &json!({"replicas": 2}));
    let added = wait_for("a second replica", || {
        let added = site.live(&id).into_iter().find(|replica| !before.contains(replica))?;
        site.dev.replica_processes(&added).first().copied()
    });
    assert_eq!(open_files(agent), hard.expect("a limit"));
    assert_eq!(open_files(added), given);
}

/// How many files a process may have open.
fn open_files(pid: i32) -> u64 {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("readable");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a line for it");
    line.split_whitespace().next().and_then(|soft| soft.parse().ok()).expect("a number")
}

/// Sends all of them, each on a connection of its own.
fn flood(site: &Site) -> Vec<TcpStream> {
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).expect("up to the hard limit one may");
    (0..REQUESTS).map(|_| begin(site.door, "GET /health", "web")).collect()
}

/// A figure of the process that the front door is in.
fn resident_mb(site: &Site, figure: &str) -> u64 {
    let agent = site.dev.agent_pid().expect("it runs");
    let status = fs::read_to_string(format!("/proc/{agent}/status")).expect("readable");
    let line = status.lines().find_map(|line| line.strip_prefix(figure)).expect("a line for it");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1_024
}

/// Replicas that the deployment has had.
fn rows(site: &Site, id: &str) -> usize {
    let count = sqlite(&site.dev, &format!("SELECT count(*) FROM deployment_replicas WHERE deployment_id = '{id}'"));
    count.parse().expect("a number")
}

/// How often a request has woken it.
fn wakes(site: &Site) -> usize {
    site.dev.log_in();
    let why: Value = serde_json::from_str(&site.dev.cli(&["why", "web", "--json", "-n", "200"]).ok()).expect("JSON");
    why.as_array().expect("a list").iter().filter(|one| one["trigger"] == "proxy").count()
}
