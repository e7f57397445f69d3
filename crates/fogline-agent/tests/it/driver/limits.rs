//! What a replica may take, where this machine lets the agent limit it, and what it takes.

use std::fs;
use std::sync::Arc;

use fogline_agent::driver::{ExitCause, Signal};

use super::harness::{Bench, until, without_cgroups};

/// Whether this machine lets the agent limit it. Where it does not, the words must say which limit is off and why, as
/// the documents promise.
fn limits(bench: &Bench, controller: &str) -> bool {
    let words = bench.driver().limits();
    if let Some(why) = words.strip_prefix("no limits on replicas: ") {
        assert!(why.len() > 10, "no reason: {words}");
        return false;
    }
    let (on, off) = words.split_once("; off: ").unwrap_or((&words, ""));
    if on.split([' ', ',']).any(|word| word == controller) {
        return true;
    }
    let why = off.split("; ").find_map(|one| one.strip_prefix(controller)?.strip_prefix(": "));
    assert!(why.is_some_and(|why| !why.is_empty()), "{controller} is neither on nor said to be off, and why: {words}");
    false
}

/// Where a limit is off, replicas run all the same, and nothing that looks like the limit is there.
async fn runs_without(bench: &mut Bench, file: &str) {
    let order = bench.script("exec sleep 1000");
    bench.run(&order).await;
    assert!(bench.left_cgroups().iter().all(|group| !group.join(file).exists()), "{}", bench.driver().limits());
    bench.kill(&order).await;
    bench.nothing_left();
}

#[tokio::test]
async fn a_replica_is_in_its_group_and_its_shim_is_not() {
    let mut bench = Bench::new();
    let order = bench.script("echo ready; exec sleep 1000");
    let pid = bench.run(&order).await;
    let groups = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("read");
    let id = order.replica_id.to_string();
    let words = bench.driver().limits();
    let is_limited = !words.starts_with("no limits");
    assert_eq!(groups(pid).contains(&id), is_limited, "{words}");
    assert!(!groups(bench.shim_pid(&order)).contains(&id));
    assert_eq!(!bench.left_cgroups().is_empty(), is_limited);
    if words.starts_with("cgroup v1") && words.contains("memory") {
        let memory = bench.left_cgroups().into_iter().find(|dir| dir.join("memory.limit_in_bytes").exists());
        let limit = fs::read_to_string(memory.expect("a group").join("memory.limit_in_bytes")).expect("read");
        assert_eq!(limit.trim(), (64 * 1_048_576).to_string());
    }
    bench.kill(&order).await;
    bench.nothing_left();
}

#[tokio::test]
async fn one_that_takes_too_much_memory_is_told_so() {
    let mut bench = Bench::new();
    if !limits(&bench, "memory") {
        runs_without(&mut bench, "memory.limit_in_bytes").await;
        return;
    }
    // Keeps the last line, which never ends.
    let order = bench.order(&["tail", "-n", "1", "/dev/zero"]);
    bench.run(&order).await;
    let exit = bench.exit(&order).await;
    assert_eq!((exit.code, exit.cause), (Some(137), ExitCause::OutOfMemory));
    assert!(exit.message.contains("64 MB"), "{}", exit.message);
    bench.nothing_left();
}

#[tokio::test]
async fn usage_is_measured_with_and_without_groups() {
    for with_cgroups in [true, false] {
        let dir = tempfile::tempdir().expect("a directory");
        let mut bench = if with_cgroups { Bench::at(dir.path()) } else { Bench::with(without_cgroups(dir.path())) };
        let order = bench.script("x=$(head -c 8000000 /dev/zero | tr '\\0' x); echo ready; while :; do :; done");
        let idle = bench.script("exec sleep 1000");
        bench.run(&order).await;
        bench.run(&idle).await;
        bench.until_said(&order, "ready").await;
        let of = |bench: &Bench, id| {
            bench.driver().usage().into_iter().find(|usage| usage.replica_id == id).expect("it runs")
        };
        assert!(of(&bench, order.replica_id).memory_mb >= 7);
        until("it is seen to be busy", || of(&bench, order.replica_id).cpu_millis > 10).await;
        assert!(of(&bench, idle.replica_id).memory_mb < 7);
        for one in [&order, &idle] {
            bench.signal(one, Signal::Kill).await;
            bench.exit(one).await;
        }
        assert_eq!(bench.driver().usage(), vec![]);
        bench.nothing_left();
    }
}

#[tokio::test]
async fn one_that_forks_without_end_is_held_and_ended() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = super::harness::config(dir.path());
    config.pids = 32;
    let mut bench = Bench::with(config);
    if !limits(&bench, "pids") {
        runs_without(&mut bench, "pids.max").await;
        return;
    }
    let mut order =
        bench.script("while :; do sleep 1000 & done 2>&1 | head -c 100; echo; echo held; wait; exec sleep 1000");
    Arc::make_mut(&mut order.template).command[0] = "/bin/bash".to_owned();
    bench.run(&order).await;
    until("it has filled its group", || bench.left_running().len() >= 30).await;
    assert!(bench.left_running().len() <= 33, "32 and the shim");
    bench.signal(&order, Signal::Kill).await;
    bench.exit(&order).await;
    bench.nothing_left();
}
