//! A driver with a directory of its own, and the certainty that nothing of a test is left running.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fogline_agent::cgroup::Cgroups;
use fogline_agent::driver::{
    Driver, DriverEvent, Exit, ProcessConfig, ProcessDriver, Signal, StartError, StartOrder, Started,
};
use fogline_agent::shim::proc_stat::{self, ProcStat};
use fogline_core::id::{DeploymentId, IdSource, NodeId, ReplicaId};
use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::spec::{ReplicaTemplate, Runtime};
use fogline_core::time::Timestamp;
use rustix::process::Signal as Number;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;

/// Far more than anything here takes; only a test that is stuck sees it.
const DEADLINE: Duration = Duration::from_secs(60);

pub(super) struct Bench {
    pub(super) config: ProcessConfig,
    /// Nothing between two agents.
    driver: Option<Driver>,
    events: mpsc::Receiver<DriverEvent>,
    ids: IdSource,
    used: Vec<ReplicaId>,
    _dir: Option<TempDir>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut bench = Self::at(dir.path());
        bench._dir = Some(dir);
        bench
    }

    /// In a directory that somebody else removes.
    pub(super) fn at(dir: &Path) -> Self {
        Self::with(config(dir))
    }

    pub(super) fn with(config: ProcessConfig) -> Self {
        let (sender, events) = mpsc::channel(16);
        let driver = ProcessDriver::new(config.clone(), sender).expect("a driver");
        let ids = IdSource::new(getrandom::u64().expect("entropy"));
        Self { config, driver: Some(Driver::Process(driver)), events, ids, used: Vec::new(), _dir: None }
    }

    /// Ends the agent, without telling anybody.
    pub(super) fn end_agent(&mut self) {
        self.driver = None;
    }

    pub(super) fn new_agent(&mut self) {
        self.end_agent();
        let (sender, events) = mpsc::channel(16);
        self.driver = Some(Driver::Process(ProcessDriver::new(self.config.clone(), sender).expect("a driver")));
        self.events = events;
    }

    pub(super) fn driver(&self) -> &Driver {
        self.driver.as_ref().expect("an agent")
    }

    pub(super) fn order(&mut self, command: &[&str]) -> StartOrder {
        let now = Timestamp::from_micros(1_000_000);
        let replica_id: ReplicaId = self.ids.next(now);
        self.used.push(replica_id);
        let deployment_id: DeploymentId = self.ids.next(now);
        let node_id: NodeId = self.ids.next(now);
        StartOrder {
            replica_id,
            deployment_id,
            deployment_name: "web".to_owned(),
            node_id,
            node_name: "edge-1".to_owned(),
            revision: 3,
            run: 1,
            template: Arc::new(ReplicaTemplate {
                runtime: Runtime::Process,
                container_image: None,
                command: command.iter().map(|&part| part.to_owned()).collect(),
                env: BTreeMap::new(),
                working_dir: None,
                resources: Resources { cpu_millis: CpuMillis(500), memory_mb: 64, gpu_units: 0, storage_gb: 1 },
                port: Some(80),
                host_port: None,
                container: None,
                health: None,
                warm_up: None,
                grace_s: 10,
                drain_timeout_s: 30,
            }),
            image_digest: None,
            port: Some(20_001),
        }
    }

    pub(super) fn script(&mut self, script: &str) -> StartOrder {
        self.order(&["/bin/sh", "-c", script])
    }

    /// An id that this bench looks after although another process made it.
    pub(super) fn look_after(&mut self, replica_id: ReplicaId) {
        self.used.push(replica_id);
    }

    pub(super) async fn start(&self, order: &StartOrder) -> Result<Started, StartError> {
        within(self.driver().start(order.clone())).await
    }

    /// Starts it; it must start.
    pub(super) async fn run(&self, order: &StartOrder) -> i32 {
        let started = self.start(order).await.expect("started");
        started.container_id.parse().expect("a process id")
    }

    pub(super) async fn signal(&self, order: &StartOrder, signal: Signal) {
        within(self.driver().signal(order.replica_id, signal)).await.expect("signalled");
    }

    pub(super) async fn event(&mut self) -> DriverEvent {
        within(self.events.recv()).await.expect("an event")
    }

    /// The next event, which must be the end of this run.
    pub(super) async fn exit(&mut self, order: &StartOrder) -> Exit {
        let event = self.event().await;
        let DriverEvent::Exited { replica_id, run, exit } = event else { panic!("{event:?} is no end") };
        assert_eq!((replica_id, run), (order.replica_id, order.run));
        exit
    }

    /// The end of any run.
    pub(super) async fn any_exit(&mut self) -> (ReplicaId, Exit) {
        let event = self.event().await;
        let DriverEvent::Exited { replica_id, exit, .. } = event else { panic!("{event:?} is no end") };
        (replica_id, exit)
    }

    pub(super) fn no_event(&mut self) {
        assert!(self.events.try_recv().is_err(), "an event that nobody expected");
    }

    pub(super) async fn kill(&mut self, order: &StartOrder) -> Exit {
        self.signal(order, Signal::Kill).await;
        self.exit(order).await
    }

    /// All output there is.
    pub(super) async fn output(&self, order: &StartOrder) -> String {
        self.tail(order, 10_000).await
    }

    pub(super) async fn tail(&self, order: &StartOrder, lines: u32) -> String {
        let mut stream = within(self.driver().logs(order.replica_id, lines, false)).await.expect("output");
        let mut text = Vec::new();
        while let Some(chunk) = within(stream.next()).await {
            text.extend_from_slice(&chunk.expect("read"));
        }
        String::from_utf8(text).expect("text")
    }

    /// Follows the output until `line` was said. All of it until then.
    pub(super) async fn until_said(&self, order: &StartOrder, line: &str) -> String {
        let mut stream = within(self.driver().logs(order.replica_id, 10_000, true)).await.expect("output");
        let mut text = String::new();
        while !text.lines().any(|one| one == line) {
            let chunk = within(stream.next()).await.expect("more output").expect("read");
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
        text
    }

    pub(super) fn dir(&self, order: &StartOrder) -> PathBuf {
        self.config.state_dir.join("replicas").join(order.replica_id.to_string())
    }

    /// The shim's process id, as it wrote it down.
    pub(super) fn shim_pid(&self, order: &StartOrder) -> i32 {
        let state = fs::read(self.dir(order).join("state.json")).expect("a state");
        let state: serde_json::Value = serde_json::from_slice(&state).expect("whole");
        i32::try_from(state["shim"]["pid"].as_i64().expect("a pid")).expect("fits")
    }

    /// What is alive of the replicas of this bench: their processes and their shims.
    pub(super) fn left_running(&self) -> Vec<ProcStat> {
        let state_dir = self.config.state_dir.display().to_string();
        let markers: Vec<String> = self.used.iter().map(|id| format!("FOGLINE_REPLICA_ID={id}")).collect();
        let all = proc_stat::all().expect("listed");
        all.into_iter()
            .filter(|stat| !stat.is_dead() && stat.pid.unsigned_abs() != std::process::id())
            .filter(|stat| {
                let read = |name: &str| fs::read(format!("/proc/{}/{name}", stat.pid)).unwrap_or_default();
                let has = |bytes: Vec<u8>, wanted: &dyn Fn(&str) -> bool| {
                    bytes.split(|byte| *byte == 0).any(|part| wanted(&String::from_utf8_lossy(part)))
                };
                has(read("environ"), &|part| markers.iter().any(|marker| marker == part))
                    || has(read("cmdline"), &|part| part.starts_with(&state_dir))
            })
            .collect()
    }

    /// cgroups of the replicas of this bench.
    pub(super) fn left_cgroups(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            find_groups(&hierarchy.path(), &self.used, 5, &mut found);
        }
        found
    }

    /// Every test ends with it.
    pub(super) fn nothing_left(&self) {
        assert_eq!(self.left_running(), Vec::new(), "left running");
        assert_eq!(self.left_cgroups(), Vec::<PathBuf>::new(), "left behind");
    }
}

/// A test that fails must not leave anything running either.
impl Drop for Bench {
    fn drop(&mut self) {
        for stat in self.left_running() {
            proc_stat::kill_if(stat.pid, Number::KILL, |now| now.identity() == stat.identity());
        }
        for group in self.left_cgroups() {
            // The kernel lets go of a group shortly after its last process.
            while fs::remove_dir(&group).is_err_and(|error| error.kind() == std::io::ErrorKind::ResourceBusy) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

pub(super) fn config(dir: &Path) -> ProcessConfig {
    let mut config = ProcessConfig::new(dir.to_owned(), BTreeMap::from([("LANG".to_owned(), "C".to_owned())]));
    config.shim_args = ["--exact", "driver::shim_entry", "--nocapture"].map(OsString::from).to_vec();
    config
}

pub(super) fn without_cgroups(dir: &Path) -> ProcessConfig {
    ProcessConfig { cgroups: Cgroups::off("this test wants none"), ..config(dir) }
}

pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it takes far too long")
}

/// Waits for something that tells nobody.
pub(super) async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain: {what}");
}

pub(super) fn is_alive(pid: i32) -> bool {
    ProcStat::read(pid).is_some_and(|stat| !stat.is_dead())
}

pub(super) fn kill_9(pid: i32) {
    assert!(proc_stat::kill_if(pid, Number::KILL, |_| true), "there is no {pid}");
}

fn find_groups(dir: &Path, ids: &[ReplicaId], depth: u32, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if ids.iter().any(|id| entry.file_name() == *id.to_string()) {
                found.push(entry.path());
            } else if depth > 0 {
                find_groups(&entry.path(), ids, depth - 1, found);
            }
        }
    }
}
