//! The whole agent with real processes, against a server that is a fake: it speaks the real protocol over a real
//! connection, and says what the test wants.

mod fake_server;
mod warm_up;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fogline_agent::config::{AgentConfig, NodeConfig};
use fogline_agent::disk::DiskError;
use fogline_agent::run::{AgentError, run};
use fogline_api::attach::Token;
use fogline_core::assignment::Want;
use fogline_core::id::{DeploymentId, IdSource, ReplicaId};
use fogline_core::observation::{ReplicaReport, ReportedState};
use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::spec::{HealthCheck, HealthSpec, ReplicaTemplate, Runtime};
use fogline_core::time::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use fake_server::{FakeServer, TOKEN};

/// Far more than anything here takes; only a test that is stuck sees it.
const DEADLINE: Duration = Duration::from_secs(60);
/// Marks the processes of one test, so that none is left behind even when it fails.
const MARK: &str = "FOGLINE_TEST_MARK";

/// Not a test but the service that the replicas of these tests are: answers HTTP on `PORT`. Without the mark, as in a
/// run of all tests, there is nothing to do. It tells what it was asked, and fails below `/broken`.
#[test]
fn service_entry() {
    #[expect(clippy::disallowed_methods, reason = "this is a replica's program, not Fogline")]
    let (mark, port) = (std::env::var(MARK), std::env::var("PORT"));
    let (Ok(_), Ok(port)) = (mark, port) else { return };
    println!("serving on {port}");
    let listener = std::net::TcpListener::bind(("127.0.0.1", port.parse().expect("a port"))).expect("bound");
    for mut stream in listener.incoming().flatten() {
        let mut request = [0; 1_024];
        let _ = stream.read(&mut request);
        let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
        println!("{line}");
        let status = if line.starts_with("GET /broken") { "503 Broken" } else { "200 OK" };
        let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
}

/// A directory, ids, and whatever an agent leaves running there.
struct Bench {
    dir: TempDir,
    mark: String,
    deployment_id: DeploymentId,
    ids: IdSource,
    template: Arc<ReplicaTemplate>,
}

/// An agent at work.
struct Agent {
    stop: CancellationToken,
    task: JoinHandle<Result<(), AgentError>>,
}

impl Agent {
    async fn end(self) -> Result<(), AgentError> {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.task).await.expect("it ends").expect("it does not panic")
    }
}

impl Bench {
    fn new() -> Self {
        let mut ids = IdSource::new(getrandom::u64().expect("entropy"));
        let deployment_id: DeploymentId = ids.next(Timestamp::from_micros(1_000_000));
        let mark = deployment_id.to_string();
        let program = std::env::current_exe().expect("this binary").display().to_string();
        let template = ReplicaTemplate {
            runtime: Runtime::Process,
            container_image: None,
            command: [&program, "--exact", "run::service_entry", "--nocapture"].map(str::to_owned).to_vec(),
            env: [(MARK.to_owned(), mark.clone())].into(),
            working_dir: None,
            resources: Resources { cpu_millis: CpuMillis(500), memory_mb: 512, gpu_units: 0, storage_gb: 1 },
            port: Some(80),
            host_port: None,
            container: None,
            health: Some(HealthSpec { check: HealthCheck::Http, ..HealthSpec::default() }),
            warm_up: None,
            grace_s: 10,
            drain_timeout_s: 0,
        };
        let dir = tempfile::tempdir().expect("a directory");
        Self { dir, mark, deployment_id, ids, template: Arc::new(template) }
    }

    fn replica(&mut self) -> ReplicaId {
        self.ids.next(Timestamp::from_micros(1_000_000))
    }

    fn config(&self, server: &FakeServer) -> AgentConfig {
        let node = NodeConfig {
            capacity: Some(Resources { cpu_millis: CpuMillis(4_000), memory_mb: 8_192, gpu_units: 0, storage_gb: 10 }),
            ..NodeConfig::machine("edge-1".to_owned())
        };
        AgentConfig {
            shim_program: std::env::current_exe().expect("this binary"),
            shim_args: ["--exact", "driver::shim_entry", "--nocapture"].map(OsString::from).to_vec(),
            base_env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            ..AgentConfig::new(vec![server.address()], Token::new(TOKEN), self.state_dir(), vec![node])
        }
    }

    fn state_dir(&self) -> PathBuf {
        self.dir.path().join("agent")
    }

    fn agent(&self, config: AgentConfig) -> Agent {
        let stop = CancellationToken::new();
        Agent { task: tokio::spawn(run(config, stop.clone())), stop }
    }

    /// Processes of this test that still run.
    fn processes(&self) -> Vec<Pid> {
        let mark = format!("{MARK}={}", self.mark);
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            if environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
                found.extend(Pid::from_raw(pid));
            }
        }
        found
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for pid in self.processes() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn is_ready(report: &ReplicaReport) -> bool {
    report.state == ReportedState::Running && report.ready
}

/// What must not change when an agent or a server comes and goes.
fn identities(reports: &BTreeMap<ReplicaId, ReplicaReport>) -> Vec<(ReplicaId, Option<String>, Option<String>, u32)> {
    let identity = |report: &ReplicaReport| {
        (report.replica_id, report.container_id.clone(), report.endpoint.clone(), report.restarts)
    };
    reports.values().map(identity).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_outlive_agents_and_servers_and_obey_no_old_leader() {
    let mut bench = Bench::new();
    let ids = [bench.replica(), bench.replica(), bench.replica()];
    let run_all = ids.map(|id| (id, Want::Run));
    let mut server = FakeServer::start(1, None);
    server.assign(&bench, 1, &run_all);
    let agent = bench.agent(bench.config(&server));
    let ready =
        server.wait("three replicas ready", |seen| seen.reports.values().filter(|one| is_ready(one)).count() == 3);
    let ready = ready.await.reports;
    for report in ready.values() {
        let port = report.endpoint.as_ref().and_then(|endpoint| endpoint.rsplit_once(':')).expect("an endpoint").1;
        let target =
            fogline_agent::supervisor::ProbeTarget::Http { port: port.parse().expect("a port"), path: "/".to_owned() };
        fogline_agent::probe::ask("127.0.0.1", &target, DEADLINE).await.expect("it serves");
    }

    // Its output can be read, and its load is told.
    server.ask_log(5, ids[0]);
    let seen = server.wait("the log", |seen| seen.log_ends.contains_key(&5)).await;
    assert_eq!(seen.log_ends[&5], None);
    assert!(String::from_utf8_lossy(&seen.logs[&5]).contains("serving on"), "{:?}", seen.logs);
    server.wait("the load of all three", |seen| seen.load.as_ref().is_some_and(|load| load.replicas.len() == 3)).await;

    // One that is killed comes back in place.
    let pid = ready[&ids[0]].container_id.as_ref().and_then(|pid| Pid::from_raw(pid.parse().ok()?)).expect("a pid");
    kill_process(pid, Signal::KILL).expect("killed");
    let healed = server
        .wait("the killed replica healed", |seen| {
            let report = &seen.reports[&ids[0]];
            is_ready(report) && report.restarts == 1
        })
        .await
        .reports;
    assert_eq!(healed[&ids[0]].exit_code, Some(137));
    assert_eq!(healed[&ids[0]].endpoint, ready[&ids[0]].endpoint, "at the same address");
    assert_ne!(healed[&ids[0]].container_id, ready[&ids[0]].container_id);

    // A second agent is kept out of the first one's directory.
    let second = run(bench.config(&server), CancellationToken::new()).await;
    assert!(matches!(second, Err(AgentError::Disk(DiskError::InUse { pid: Some(_), .. }))), "{second:?}");

    // The agent goes and comes: everything is adopted.
    agent.end().await.expect("a clean end");
    assert!(bench.processes().len() >= 3, "the end of an agent stops nothing");
    let hellos = server.seen().hellos;
    let agent = bench.agent(bench.config(&server));
    let adopted = server
        .wait("a report of everything by the new agent", |seen| {
            seen.hellos > hellos
                && seen.reports.values().all(|one| is_ready(one) && one.seq > healed[&one.replica_id].seq)
        })
        .await;
    assert_eq!(identities(&adopted.reports), identities(&healed));

    // The server goes and comes, in a new epoch.
    let address = server.stop();
    let mut server = FakeServer::start(3, Some(address));
    server.assign(&bench, 1, &run_all);
    let seen = server.wait("everything told to the new leader", |seen| seen.reports.len() == 3).await;
    assert_eq!(identities(&seen.reports), identities(&healed));
    assert_eq!(seen.obeyed_epochs, [1]);

    // One that leads no longer orders everything to stop, and then the leader's own lists arrive out of order.
    let address = server.stop();
    let mut stale = FakeServer::start(2, Some(address));
    stale.assign(&bench, 99, &ids.map(|id| (id, Want::Stop)));
    let seen = stale.wait("the agent refusing an old epoch, twice", |seen| seen.hellos >= 2).await;
    assert!(seen.reports.is_empty() && seen.obeyed_epochs.iter().all(|epoch| *epoch == 3), "{seen:?}");
    let address = stale.stop();
    let mut server = FakeServer::start(3, Some(address));
    server.assign(&bench, 10, &run_all);
    server.wait("everything told to the leader", |seen| seen.reports.len() == 3).await;
    server.assign(&bench, 5, &ids.map(|id| (id, Want::Stop)));
    let fourth = bench.replica();
    let mut four = run_all.to_vec();
    four.push((fourth, Want::Run));
    server.assign(&bench, 11, &four);
    let seen = server.wait("a fourth replica", |seen| seen.reports.get(&fourth).is_some_and(is_ready)).await;
    let three: BTreeMap<_, _> = seen.reports.into_iter().filter(|(id, _)| *id != fourth).collect();
    assert_eq!(identities(&three), identities(&healed));

    // Told to stop, they stop, and nothing is left of them.
    let stop: Vec<_> = four.iter().map(|(id, _)| (*id, Want::Stop)).collect();
    server.assign(&bench, 12, &stop);
    let all_stopped =
        |seen: &fake_server::Seen| seen.reports.values().filter(|one| one.state == ReportedState::Stopped).count() == 4;
    server.wait("four replicas stopped", all_stopped).await;
    assert_eq!(bench.processes(), []);
    server.assign(&bench, 13, &[]);
    let replicas = bench.state_dir().join("replicas");
    until("the agent has forgotten them", || {
        std::fs::read_dir(&replicas).is_ok_and(|mut entries| entries.next().is_none())
    })
    .await;
    agent.end().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_of_dev_takes_its_replicas_with_it() {
    let mut bench = Bench::new();
    let ids = [bench.replica(), bench.replica()];
    let mut server = FakeServer::start(1, None);
    server.assign(&bench, 1, &ids.map(|id| (id, Want::Run)));
    let agent = bench.agent(AgentConfig { stop_replicas_on_exit: true, ..bench.config(&server) });
    server.wait("two replicas ready", |seen| seen.reports.values().filter(|one| is_ready(one)).count() == 2).await;
    agent.end().await.expect("a clean end");
    assert_eq!(bench.processes(), []);
    let stopped = server.seen().reports.into_values().filter(|one| one.state == ReportedState::Stopped).count();
    assert_eq!(stopped, 2, "the server has heard of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_not_there_fails_at_once_with_the_reason() {
    let mut bench = Bench::new();
    bench.template =
        Arc::new(ReplicaTemplate { command: vec!["no-such-program".to_owned()], ..(*bench.template).clone() });
    let id = bench.replica();
    let mut server = FakeServer::start(1, None);
    server.assign(&bench, 1, &[(id, Want::Run)]);
    let agent = bench.agent(bench.config(&server));
    let failed =
        |seen: &fake_server::Seen| seen.reports.get(&id).is_some_and(|report| report.state == ReportedState::Failed);
    let report = server.wait("the failure", failed).await.reports[&id].clone();
    let message = report.message.expect("a reason");
    assert!(message.contains("no-such-program") && message.contains("no such program"), "{message}");
    assert_eq!(report.restarts, 0);
    agent.end().await.expect("a clean end");
}

/// A directory where the list's file belongs makes its writing fail as a full disk does, and anyone can make one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_cannot_write_starts_nothing_new_and_lives() {
    let mut bench = Bench::new();
    let [first, second, third] = [bench.replica(), bench.replica(), bench.replica()];
    let mut server = FakeServer::start(1, None);
    server.assign(&bench, 1, &[(first, Want::Run)]);
    let agent = bench.agent(bench.config(&server));
    server.wait("the first ready", |seen| seen.reports.get(&first).is_some_and(is_ready)).await;

    let list = bench.state_dir().join("assignment-edge-1.json");
    std::fs::remove_file(&list).expect("removed");
    std::fs::create_dir_all(list.join("in the way")).expect("made");
    server.assign(&bench, 2, &[(first, Want::Run), (second, Want::Run)]);
    let failed = |seen: &fake_server::Seen| {
        seen.reports.get(&second).is_some_and(|report| report.state == ReportedState::Failed)
    };
    let seen = server.wait("the second refused", failed).await;
    let message = seen.reports[&second].message.clone().expect("a reason");
    assert!(message.contains("assignment-edge-1.json"), "{message}");
    assert!(is_ready(&seen.reports[&first]), "what runs goes on");
    server.assign(&bench, 3, &[(first, Want::Stop), (second, Want::Run)]);
    let stopped = |seen: &fake_server::Seen| seen.reports[&first].state == ReportedState::Stopped;
    server.wait("the first stopped all the same", stopped).await;

    std::fs::remove_dir_all(&list).expect("removed");
    server.assign(&bench, 4, &[(third, Want::Run)]);
    server.wait("the third ready", |seen| seen.reports.get(&third).is_some_and(is_ready)).await;
    agent.end().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_a_wrong_token_gets_nothing() {
    let mut bench = Bench::new();
    let id = bench.replica();
    let mut server = FakeServer::start(1, None);
    server.assign(&bench, 1, &[(id, Want::Run)]);
    let agent = bench.agent(AgentConfig { token: Token::new("guessed"), ..bench.config(&server) });
    server.wait("three refused calls", |seen| seen.refused >= 3).await;
    assert_eq!((server.seen().hellos, bench.processes()), (0, vec![]));
    agent.end().await.expect("a clean end");
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"));
}
