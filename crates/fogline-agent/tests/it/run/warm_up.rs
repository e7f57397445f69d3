//! Warm-ups of real processes: requests to them, and commands in them.

use std::path::PathBuf;
use std::sync::Arc;

use fogline_core::assignment::Want;
use fogline_core::observation::ReportedState;
use fogline_core::spec::{ReplicaTemplate, WarmUpSpec};
use rustix::process::{Pid, Signal, kill_process};

use super::fake_server::{FakeServer, Seen};
use super::{Bench, is_ready, until};

fn requests(path: &str, times: u32) -> WarmUpSpec {
    WarmUpSpec { path: Some(path.to_owned()), command: Vec::new(), times, timeout_s: 60 }
}

fn shell(script: &str, timeout_s: u32) -> WarmUpSpec {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    WarmUpSpec { path: None, command, times: 1, timeout_s }
}

fn bench(warm_up: WarmUpSpec) -> Bench {
    let mut bench = Bench::new();
    bench.template = Arc::new(ReplicaTemplate { warm_up: Some(warm_up), ..(*bench.template).clone() });
    bench
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_asked_as_often_as_its_spec_says_before_it_is_ready() {
    let mut bench = bench(requests("/warm", 3));
    let id = bench.replica();
    let mut server = FakeServer::start(1, None);
    server.assign(&bench, 1, &[(id, Want::Run)]);
    let agent = bench.agent(bench.config(&server));
    server.wait("it ready", |seen| seen.reports.get(&id).is_some_and(is_ready)).await;
    server.ask_log(1, id);
    let log = server.wait("the log", |seen| seen.log_ends.contains_key(&1)).await.logs[&1].clone();
    let log = String::from_utf8_lossy(&log).into_owned();
    assert_eq!(log.matches("GET /warm HTTP/1.1").count(), 3, "{log}");
    agent.end().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_runs_in_the_replica_once_a_run() {
    let place = tempfile::tempdir().expect("a directory");
    let told: PathBuf = place.path().join("told");
    let script = format!("echo $FOGLINE_REPLICA_ID >> {}", told.display());
    let mut bench = bench(shell(&script, 60));
    let id = bench.replica();
    let lines = |count| format!("{id}\n").repeat(count);
    let mut server = FakeServer::start(1, None);
    server.assign(&bench, 1, &[(id, Want::Run)]);
    let agent = bench.agent(bench.config(&server));
    let ready = server.wait("it ready", |seen| seen.reports.get(&id).is_some_and(is_ready)).await.reports[&id].clone();
    assert_eq!(std::fs::read_to_string(&told).expect("it ran"), lines(1));

    agent.end().await.expect("a clean end");
    let agent = bench.agent(bench.config(&server));
    let adopted = |seen: &Seen| seen.reports.get(&id).is_some_and(|report| is_ready(report) && report.seq > ready.seq);
    server.wait("it adopted", adopted).await;
    assert_eq!(std::fs::read_to_string(&told).expect("it ran"), lines(1), "what was warm is warm");

    let pid = ready.container_id.as_ref().and_then(|pid| Pid::from_raw(pid.parse().ok()?)).expect("a pid");
    kill_process(pid, Signal::KILL).expect("killed");
    let healed =
        |seen: &Seen| seen.reports.get(&id).is_some_and(|report| is_ready(report) && report.restarts > ready.restarts);
    server.wait("it healed", healed).await;
    assert_eq!(std::fs::read_to_string(&told).expect("it ran"), lines(2), "a new run is cold");
    agent.end().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_up_that_fails_says_how_and_the_replica_is_never_ready() {
    let table = [
        (requests("/broken", 1), "status 503"),
        (shell("echo it stays cold >&2; exit 3", 60), "\"sh\" ended with 3: it stays cold"),
        (shell("exec sleep 600", 1), "within its timeout_s"),
    ];
    for (warm_up, words) in table {
        let mut bench = bench(warm_up);
        let id = bench.replica();
        let mut server = FakeServer::start(1, None);
        server.assign(&bench, 1, &[(id, Want::Run)]);
        let agent = bench.agent(bench.config(&server));
        let says = |seen: &Seen| {
            let message = seen.reports.get(&id).and_then(|report| report.message.as_deref()).unwrap_or_default();
            message.contains("its warm-up failed") && message.contains(words)
        };
        let report = server.wait(words, says).await.reports[&id].clone();
        assert_eq!((report.state, report.ready), (ReportedState::Starting, false), "{words}");
        server.assign(&bench, 2, &[(id, Want::Stop)]);
        server.wait("it stopped", |seen| seen.reports[&id].state == ReportedState::Stopped).await;
        until("nothing is left of it", || bench.processes().is_empty()).await;
        agent.end().await.expect("a clean end");
    }
}
