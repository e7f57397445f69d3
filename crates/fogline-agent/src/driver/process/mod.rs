//! Runs replicas as plain processes, each under a shim of its own (`crate::shim`), which outlives the agent.
//!
//! Decides how a process is started, watched, signalled, found again and cleared away. All that it knows is on disk
//! before it matters, so dropping the driver, or killing the agent, loses nothing: the next one adopts. Invariants:
//! those of [`super`]; nothing is ever signalled by a process id that something else may have by now. Tests:
//! `tests/it/driver.rs`.

mod adopt;
mod environment;
mod exec;
mod forget;
mod held;
mod leftovers;
mod pidfd;
mod signal;
mod start;
mod usage;
mod watch;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fogline_core::id::ReplicaId;
use fogline_core::observation::ReplicaUsage;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::kept::replicas_in;
use super::{
    Adopted, DriverError, DriverEvent, ExecError, ExecOrder, ExecOutcome, LogStream, LogsError, Signal, StartError,
    StartOrder, Started, blocking,
};
use crate::cgroup::{Cgroups, ReplicaCgroup};
use crate::logs::LogLimits;
use crate::shim::proc_stat::ProcessIdentity;
use crate::shim::replica_dir::ReplicaDir;
use held::Held;
use pidfd::Pidfd;

/// How processes are run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessConfig {
    /// The agent's state directory; replicas are kept in `replicas/` and `ended/` inside.
    pub state_dir: PathBuf,
    /// The program of the shim. `/proc/self/exe` is this very program, even when its file was replaced meanwhile.
    pub shim_program: PathBuf,
    /// What the shim's program is given before the replica's directory.
    pub shim_args: Vec<OsString>,
    /// What replicas inherit: nothing but this, their spec's environment and their identity.
    pub base_env: BTreeMap<String, String>,
    /// Files that a replica may have open, where it asks for no more; as many as this process when nothing is said.
    pub open_files: Option<u64>,
    /// How long a start may take until it is given up.
    pub start_deadline: Duration,
    /// How much of a replica's output is kept.
    pub logs: LogLimits,
    /// Of how many forgotten replicas the output is kept.
    pub keep_ended: usize,
    /// Processes and threads that a replica may have, where that can be limited.
    pub pids: u32,
    /// What limits replicas.
    pub cgroups: Cgroups,
}

impl ProcessConfig {
    /// The defaults: the shim is `fogline shim` of this very program, limits are what the machine offers. `base_env`
    /// is chosen from the agent's environment: `PATH` and `LANG`.
    #[must_use]
    pub fn new(state_dir: PathBuf, base_env: BTreeMap<String, String>) -> Self {
        Self {
            state_dir,
            shim_program: PathBuf::from("/proc/self/exe"),
            shim_args: vec![OsString::from("shim")],
            base_env,
            open_files: None,
            start_deadline: Duration::from_secs(30),
            logs: LogLimits::default(),
            keep_ended: 16,
            pids: 1_024,
            cgroups: Cgroups::detect(),
        }
    }
}

/// Runs replicas as processes of this machine. Clones are the same driver.
#[derive(Clone)]
pub struct ProcessDriver {
    inner: Arc<Inner>,
}

struct Inner {
    config: ProcessConfig,
    events: mpsc::Sender<DriverEvent>,
    runs: Mutex<BTreeMap<ReplicaId, Slot>>,
    /// Ends the watchers with the driver. What they watch runs on.
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

/// What goes on with a replica. One that is not here does not run.
enum Slot {
    /// Somebody is starting it, or looking whether it runs.
    Busy {
        run: u32,
    },
    Running(Arc<Running>),
    /// Something of an earlier run is there, and cannot be made out.
    Held(Arc<Held>),
}

impl Slot {
    fn run(&self) -> u32 {
        match self {
            Self::Busy { run } => *run,
            Self::Running(running) => running.run,
            Self::Held(held) => held.run,
        }
    }
}

/// A run that is watched.
struct Running {
    replica_id: ReplicaId,
    run: u32,
    dir: ReplicaDir,
    shim: ProcessIdentity,
    program: ProcessIdentity,
    /// Readable when the shim has ended; holds its identity, so signals cannot reach another process.
    shim_fd: Pidfd,
    cgroup: Option<ReplicaCgroup>,
    usage: Mutex<Option<usage::Sample>>,
}

impl ProcessDriver {
    /// A driver with its state in `config.state_dir`, which tells the ends of runs to `events`.
    ///
    /// # Errors
    /// When its directories cannot be made.
    pub fn new(mut config: ProcessConfig, events: mpsc::Sender<DriverEvent>) -> io::Result<Self> {
        // The shim does not start in the agent's working directory.
        config.state_dir = std::path::absolute(&config.state_dir)?;
        for name in ["replicas", "ended"] {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(config.state_dir.join(name))?;
        }
        let stop = CancellationToken::new();
        let inner = Inner { config, events, runs: Mutex::default(), _stop_on_drop: stop.clone().drop_guard(), stop };
        Ok(Self { inner: Arc::new(inner) })
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
        usage::usage(&self.inner.running())
    }

    /// As [`super::Driver::knows`].
    #[must_use]
    pub fn knows(&self, replica_id: ReplicaId) -> bool {
        self.inner.dir(replica_id).path().exists() || self.inner.ended_dir().join(replica_id.to_string()).exists()
    }

    /// As [`super::Driver::logs`].
    ///
    /// # Errors
    /// As there.
    pub async fn logs(&self, replica_id: ReplicaId, tail_lines: u32, follow: bool) -> Result<LogStream, LogsError> {
        let live = self.inner.dir(replica_id).logs();
        let ended = ReplicaDir::at(self.inner.ended_dir().join(replica_id.to_string())).logs();
        let found = [live, ended].into_iter().find(|dir| dir.exists());
        crate::logs::open(found.ok_or(LogsError::NoSuchReplica(replica_id))?, tail_lines, follow).await
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
        self.inner.config.cgroups.words().to_owned()
    }
}

impl fmt::Debug for ProcessDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessDriver").field("state_dir", &self.inner.config.state_dir).finish_non_exhaustive()
    }
}

impl Inner {
    fn replicas_dir(&self) -> PathBuf {
        self.config.state_dir.join("replicas")
    }

    fn ended_dir(&self) -> PathBuf {
        self.config.state_dir.join("ended")
    }

    fn dir(&self, replica_id: ReplicaId) -> ReplicaDir {
        ReplicaDir::at(self.replicas_dir().join(replica_id.to_string()))
    }

    /// What limits a replica, although its order may be unreadable.
    fn cgroup(&self, replica_id: ReplicaId, dir: &ReplicaDir) -> Option<ReplicaCgroup> {
        dir.cgroup().or_else(|| self.config.cgroups.find(replica_id))
    }

    /// Nobody panics while holding it, and a map that is whole is worth more than a poisoned one.
    fn runs(&self) -> MutexGuard<'_, BTreeMap<ReplicaId, Slot>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Vec<Arc<Running>> {
        self.runs()
            .values()
            .filter_map(|slot| match slot {
                Slot::Running(running) => Some(Arc::clone(running)),
                Slot::Busy { .. } | Slot::Held(_) => None,
            })
            .collect()
    }
}
