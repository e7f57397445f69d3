//! Runs replicas as containers, through the API of Docker or Podman.
//!
//! Decides how a container is made, watched, signalled, found again and cleared away. A run is on the agent's disk before
//! the engine hears of it, and its container has a name that follows from replica and run, so whatever is repeated,
//! interrupted or left unanswered finds the first container and never makes a second. Where the engine does not answer,
//! what may run is held, not given up. Must never give a container privileges, the node's namespaces, or a path that the
//! node's administrator has not allowed. Invariants: those of [`super`]. Tests: `tests/it/driver`.

mod adopt;
mod archive;
mod claims;
mod create;
mod engine;
mod exec;
mod exit;
mod forget;
mod image;
mod labels;
mod logs;
mod look;
mod mounts;
mod plain;
mod record;
mod signal;
mod start;
mod sweep;
mod tail;
mod usage;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fogline_core::id::ReplicaId;
use fogline_core::observation::ReplicaUsage;
use tokio::sync::{Notify, mpsc, watch as watched};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::kept::replicas_in;
use super::{
    Adopted, DriverError, DriverEvent, ExecError, ExecOrder, ExecOutcome, LogStream, LogsError, Signal, StartError,
    StartOrder, Started, blocking,
};
use crate::config::ImageGc;
use crate::logs::LogLimits;
pub use engine::{Engine, EngineError, Failure, Found};
pub use image::ImageFailure;
use record::RecordDir;

/// How containers are run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DockerConfig {
    /// The agent's state directory; what is known of containers is kept in `containers/` inside.
    pub state_dir: PathBuf,
    /// Sockets of engines: the first that answers is used, and no other from then on.
    pub sockets: Vec<PathBuf>,
    /// Where containers' ports are published. Nothing: at every address of the machine.
    pub publish_at: Option<IpAddr>,
    /// Paths of the node below which containers may be given directories.
    pub allowed_mounts: Vec<PathBuf>,
    /// How long one call to the engine may take.
    pub call_within: Duration,
    /// How long making and starting a container may take, when its image is there.
    pub start_deadline: Duration,
    /// How often what the engine says is compared with what is known, beside its events.
    pub look_every: Duration,
    /// How much of a container's output is kept.
    pub logs: LogLimits,
    /// Of how many forgotten replicas the output is kept.
    pub keep_ended: usize,
    /// A file in the format of Docker's `config.json` with credentials for registries.
    pub registry_auth: Option<PathBuf>,
    /// How long a pull may take.
    pub pull_within: Duration,
    /// When images go that this agent has pulled.
    pub image_gc: ImageGc,
    /// How often images are looked at.
    pub images_every: Duration,
    /// Where containers' cgroups are made; the engine's own choice when nothing is said.
    pub cgroup_parent: Option<String>,
}

impl DockerConfig {
    /// The defaults, at these sockets.
    #[must_use]
    pub fn new(state_dir: PathBuf, sockets: Vec<PathBuf>) -> Self {
        Self {
            state_dir,
            sockets,
            publish_at: Some(IpAddr::from([127, 0, 0, 1])),
            allowed_mounts: Vec::new(),
            call_within: Duration::from_secs(10),
            start_deadline: Duration::from_secs(60),
            look_every: Duration::from_secs(10),
            logs: LogLimits::default(),
            keep_ended: 16,
            registry_auth: None,
            pull_within: Duration::from_secs(30 * 60),
            image_gc: ImageGc::default(),
            images_every: Duration::from_secs(60),
            cgroup_parent: None,
        }
    }
}

impl DockerConfig {
    /// Whether an earlier agent has left records of containers in its state directory.
    #[must_use]
    pub fn has_left_something(state_dir: &Path) -> bool {
        !replicas_in(&state_dir.join("containers")).is_empty()
    }
}

/// Runs replicas as containers. Clones are the same driver.
#[derive(Clone)]
pub struct DockerDriver {
    inner: Arc<Inner>,
    /// Ends the watchers with the last clone. What they watch runs on.
    _stop_on_drop: Arc<DropGuard>,
}

/// What the files of this driver share.
struct Inner {
    config: DockerConfig,
    /// Which containers are this agent's: random, and kept in its state directory.
    agent_id: String,
    engine: Engine,
    images: image::Images,
    events: mpsc::Sender<DriverEvent>,
    runs: Mutex<BTreeMap<ReplicaId, Slot>>,
    usage: Mutex<BTreeMap<ReplicaId, usage::Sample>>,
    /// Held while a record is changed that is there, or moved: what is forgotten must not come back.
    records: Mutex<()>,
    /// Whose output is kept already, although their containers could not be removed yet.
    archived: Mutex<BTreeSet<(ReplicaId, u32)>>,
    /// Whose output is read, or kept, just now.
    claims: claims::Claims,
    /// Whether it is known what an earlier agent left: nothing is swept away before.
    adopted: AtomicBool,
    /// Whether the engine has shown that it has no init.
    no_init: AtomicBool,
    /// Something has changed about some replica: for those who follow its output.
    changed: watched::Sender<u64>,
    /// What the engine says is to be looked at now.
    look: Notify,
    measure: Notify,
    /// Cancelled when nobody has the driver any more.
    stop: CancellationToken,
}

/// What goes on with a replica. One that is not here does not run.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Slot {
    /// Somebody is starting it, or looking whether it runs.
    Busy { run: u32 },
    /// Its container runs.
    Running { run: u32, container: String },
    /// Whether its container runs is not known.
    Held { run: u32 },
}

impl Slot {
    const fn run(&self) -> u32 {
        match self {
            Self::Busy { run } | Self::Running { run, .. } | Self::Held { run } => *run,
        }
    }
}

impl DockerDriver {
    /// A driver with its state in `config.state_dir`, which tells the ends of runs to `events`. `fresh_id` becomes the
    /// name of this agent among the engine's users, where its directory holds none yet. The engine need not be there.
    ///
    /// # Errors
    /// When its directories cannot be made.
    pub fn new(mut config: DockerConfig, fresh_id: u64, events: mpsc::Sender<DriverEvent>) -> io::Result<Self> {
        config.state_dir = std::path::absolute(&config.state_dir)?;
        for name in ["containers", "containers-ended"] {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(config.state_dir.join(name))?;
        }
        let agent_id = record::agent_id(&config.state_dir, fresh_id)?;
        let engine = Engine::new(config.sockets.clone(), config.call_within).keeping(
            config.state_dir.join("containers").join("engine-socket"),
            DockerConfig::has_left_something(&config.state_dir),
        );
        let stop = CancellationToken::new();
        let images = image::Images::open(&config.state_dir);
        let inner = Arc::new(Inner {
            config,
            images,
            agent_id,
            engine,
            events,
            runs: Mutex::default(),
            usage: Mutex::default(),
            records: Mutex::default(),
            archived: Mutex::default(),
            claims: claims::Claims::default(),
            adopted: AtomicBool::new(false),
            no_init: AtomicBool::new(false),
            changed: watched::Sender::default(),
            look: Notify::new(),
            measure: Notify::new(),
            stop: stop.clone(),
        });
        watch::spawn(&inner);
        usage::spawn(&inner);
        image::spawn(&inner);
        Ok(Self { inner, _stop_on_drop: Arc::new(stop.drop_guard()) })
    }

    /// The engine that has answered, and each change of that. Nothing until one has.
    #[must_use]
    pub fn engine(&self) -> watched::Receiver<Option<Found>> {
        self.inner.engine.found()
    }

    /// Whether an engine answers within this time.
    pub async fn reach(&self, within: Duration) -> bool {
        tokio::time::timeout(within, self.inner.engine.client()).await.is_ok_and(|answer| answer.is_ok())
    }

    /// As [`super::Driver::start`].
    ///
    /// # Errors
    /// As there.
    pub async fn start(&self, order: StartOrder) -> Result<Started, StartError> {
        start::start(&self.inner, order).await
    }

    /// As [`super::Driver::signal`].
    ///
    /// # Errors
    /// As there.
    pub async fn signal(&self, replica_id: ReplicaId, signal: Signal) -> Result<(), DriverError> {
        signal::send(&self.inner, replica_id, signal).await
    }

    /// As [`super::Driver::adopt`].
    pub async fn adopt(&self) -> Vec<Adopted> {
        adopt::adopt(&self.inner).await
    }

    /// As [`super::Driver::forget`].
    pub fn forget(&self, replica_id: ReplicaId) {
        forget::forget(&self.inner, replica_id);
    }

    /// As [`super::Driver::usage`].
    #[must_use]
    pub fn usage(&self) -> Vec<ReplicaUsage> {
        usage::usage(&self.inner)
    }

    /// As [`super::Driver::knows`].
    #[must_use]
    pub fn knows(&self, replica_id: ReplicaId) -> bool {
        self.inner.slot(replica_id).is_some()
            || self.inner.record(replica_id).exists()
            || self.inner.ended(replica_id).exists()
    }

    /// As [`super::Driver::logs`].
    ///
    /// # Errors
    /// As there.
    pub async fn logs(&self, replica_id: ReplicaId, tail_lines: u32, follow: bool) -> Result<LogStream, LogsError> {
        logs::open(&self.inner, replica_id, tail_lines, follow).await
    }

    /// As [`super::Driver::exec`].
    ///
    /// # Errors
    /// As there.
    pub async fn exec(&self, replica_id: ReplicaId, order: &ExecOrder) -> Result<ExecOutcome, ExecError> {
        exec::run(&self.inner, replica_id, order).await
    }

    /// As [`super::Driver::limits`].
    #[must_use]
    pub fn limits(&self) -> String {
        match &*self.inner.engine.found().borrow() {
            Some(found) => format!("containers by {}, {}", found.version, found.limits),
            None => "no container engine has answered".to_owned(),
        }
    }
}

impl fmt::Debug for DockerDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerDriver").field("state_dir", &self.inner.config.state_dir).finish_non_exhaustive()
    }
}

impl Inner {
    fn containers_dir(&self) -> PathBuf {
        self.config.state_dir.join("containers")
    }

    fn ended_dir(&self) -> PathBuf {
        self.config.state_dir.join("containers-ended")
    }

    fn record(&self, replica_id: ReplicaId) -> RecordDir {
        RecordDir::at(self.containers_dir().join(replica_id.to_string()))
    }

    fn ended(&self, replica_id: ReplicaId) -> RecordDir {
        RecordDir::at(self.ended_dir().join(replica_id.to_string()))
    }

    /// Where the output of earlier runs is kept, if anywhere.
    fn kept(&self, replica_id: ReplicaId) -> Option<RecordDir> {
        [self.record(replica_id), self.ended(replica_id)].into_iter().find(RecordDir::exists)
    }

    /// Nobody panics while holding it, and a map that is whole is worth more than a poisoned one.
    fn runs(&self) -> MutexGuard<'_, BTreeMap<ReplicaId, Slot>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, replica_id: ReplicaId) -> Option<Slot> {
        self.runs().get(&replica_id).cloned()
    }

    fn set_slot(&self, replica_id: ReplicaId, slot: Option<Slot>) {
        match slot {
            Some(slot) => drop(self.runs().insert(replica_id, slot)),
            None => drop(self.runs().remove(&replica_id)),
        }
        self.changed.send_modify(|count| *count += 1);
    }

    fn has_init(&self) -> bool {
        !self.no_init.load(Ordering::Acquire)
    }

    fn do_without_init(&self) {
        self.no_init.store(true, Ordering::Release);
    }

    fn records(&self) -> MutexGuard<'_, ()> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn archived(&self) -> MutexGuard<'_, BTreeSet<(ReplicaId, u32)>> {
        self.archived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_archived(&self, replica_id: ReplicaId, run: u32) -> bool {
        self.archived().contains(&(replica_id, run))
    }

    fn note_archived(&self, replica_id: ReplicaId, run: u32) {
        self.archived().insert((replica_id, run));
    }

    fn unnote_archived(&self, replica_id: ReplicaId, run: u32) {
        self.archived().remove(&(replica_id, run));
    }

    /// Takes the slot of this run away, if it is still this run's. Whoever gets `true` tells its end.
    fn take_slot(&self, replica_id: ReplicaId, run: u32) -> bool {
        let taken = {
            let mut runs = self.runs();
            let is_it = runs.get(&replica_id).is_some_and(|slot| slot.run() == run);
            if is_it {
                runs.remove(&replica_id);
            }
            is_it
        };
        self.changed.send_modify(|count| *count += 1);
        taken
    }
}

/// The name of a run's container: there cannot be two of a name.
fn container_name(replica_id: ReplicaId, run: u32) -> String {
    format!("fogline-{replica_id}-{run}")
}
