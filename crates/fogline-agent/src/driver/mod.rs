//! What runs replicas: one driver a runtime, joined by the closed enum [`Driver`], and [`Drivers`], which asks the right one.
//!
//! Decides nothing about whether a replica should run: the supervisor does, and asks. Must never start a run twice.
//! Invariant: a run that [`Driver::start`] answered with [`Started`], or that [`Driver::adopt`] found alive or
//! held, ends in exactly one [`DriverEvent::Exited`]; a start that failed has no event, but where it failed because an
//! earlier run holds the replica ([`StartError::StillRunning`]), or where nobody can tell whether it has worked
//! ([`StartError::Unclear`]): then the end of that run is told. Tests: `tests/it/driver.rs`.

pub mod docker;
mod error;
mod exec;
mod kept;
pub mod process;
mod set;

use std::sync::Arc;

use bytes::Bytes;
use fogline_core::id::{DeploymentId, NodeId, ReplicaId};
use fogline_core::image_digest::ImageDigest;
use fogline_core::observation::ReplicaUsage;
use fogline_core::spec::ReplicaTemplate;
use serde::{Deserialize, Serialize};
use tokio_stream::wrappers::ReceiverStream;

pub use crate::logs::LogsError;
pub use docker::{DockerConfig, DockerDriver};
pub use error::{DriverError, StartError};
pub use exec::{ExecError, ExecOrder, ExecOutcome};
pub use process::{ProcessConfig, ProcessDriver};
pub use set::Drivers;

/// The variable that every process of a replica is recognised by, unless it drops it.
const REPLICA_ID: &str = "FOGLINE_REPLICA_ID";

/// One run of one replica: everything that is needed to start it. It is kept on disk, so that an agent that restarts
/// knows what it adopts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StartOrder {
    /// Which replica.
    pub replica_id: ReplicaId,
    /// The deployment it is part of.
    pub deployment_id: DeploymentId,
    /// That deployment's name, for the replica's environment.
    pub deployment_name: String,
    /// The node it was placed on; an agent may present several.
    pub node_id: NodeId,
    /// That node's name, for the replica's environment.
    pub node_name: String,
    /// The revision of the deployment's spec.
    pub revision: u32,
    /// Counts the starts of this replica, across restarts of the agent. A run that is on disk is never started again.
    pub run: u32,
    /// What to run.
    pub template: Arc<ReplicaTemplate>,
    /// What the image is, where that is settled: then it is started from this and nothing else, whatever its tag says.
    #[serde(default)]
    pub image_digest: Option<ImageDigest>,
    /// The port on the host that the agent picked. A process is told it in `PORT`; a container's own port is published
    /// there.
    pub port: Option<u16>,
}

impl StartOrder {
    /// Who a replica is, as it finds it in its environment whatever its spec says.
    fn identity(&self) -> impl Iterator<Item = (String, String)> {
        let identity = [
            (REPLICA_ID, self.replica_id.to_string()),
            ("FOGLINE_DEPLOYMENT", self.deployment_name.clone()),
            ("FOGLINE_DEPLOYMENT_ID", self.deployment_id.to_string()),
            ("FOGLINE_NODE", self.node_name.clone()),
            ("FOGLINE_REVISION", self.revision.to_string()),
            ("FOGLINE_RUN", self.run.to_string()),
        ];
        identity.into_iter().map(|(name, value)| (name.to_owned(), value))
    }
}

/// A replica's process is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Started {
    /// The driver's name for it: the id of its process, or of its container.
    pub container_id: String,
    /// What its image turned out to be; nothing for a process.
    pub image_digest: Option<ImageDigest>,
    /// Whether it listens on no port, so that the one on the host that it was to get is free again.
    pub port_unused: bool,
}

impl Started {
    /// One that has the port of its order, and no image.
    #[must_use]
    pub const fn new(container_id: String) -> Self {
        Self { container_id, image_digest: None, port_unused: false }
    }
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code, 128 + signal where a signal ended it. Nothing where nobody can tell.
    pub code: Option<i32>,
    /// What ended it.
    pub cause: ExitCause,
    /// The same for people.
    pub message: String,
}

/// What ended a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitCause {
    /// It ended by itself, with an exit code.
    Exited,
    /// A signal ended it.
    Signalled,
    /// It took more memory than it may have.
    OutOfMemory,
    /// The process that watches over it was killed, and what it left behind was killed then.
    ShimKilled,
    /// Its container was removed by somebody else.
    Removed,
    /// It never ran. Only found by [`Driver::adopt`], or after a start that was [`StartError::Unclear`]: otherwise
    /// [`Driver::start`] tells it.
    NotStarted(StartError),
}

/// What a driver tells by itself.
#[derive(Clone, PartialEq, Debug)]
pub enum DriverEvent {
    /// A run is over and nothing of it is left running.
    Exited {
        /// Which replica.
        replica_id: ReplicaId,
        /// Which run of it.
        run: u32,
        /// How it ended.
        exit: Exit,
    },
    /// A start goes on and is not through: its image is being pulled.
    Preparing {
        /// Which replica.
        replica_id: ReplicaId,
        /// Which run of it.
        run: u32,
        /// How far it is, for people.
        progress: String,
    },
    /// A run that was [`AdoptedState::Held`], or that kept a start from being done, can be made out now: it is alive.
    Adopted(Box<Adopted>),
}

/// A run that an earlier agent process left behind.
#[derive(Clone, PartialEq, Debug)]
pub struct Adopted {
    /// What it was started from.
    pub order: StartOrder,
    /// The driver's name for it; nothing for one that never started.
    pub container_id: Option<String>,
    /// What became of it.
    pub state: AdoptedState,
}

/// What became of a run that an earlier agent process left behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AdoptedState {
    /// It runs, and is watched from now on.
    Alive,
    /// It is over. No event follows.
    Exited(Exit),
    /// Something of it runs, and cannot be made out. It can be signalled, and its end, or that it could be made out after
    /// all, is told as an event. Of the order, no more than the ids of the replica, the run, the port and the node's name
    /// may be known; 0 or nothing stands for what is not.
    Held {
        /// What could not be done, for people.
        why: String,
    },
}

/// What can be sent to a replica: to all of its processes, not only the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// Please stop: SIGTERM to the process group.
    Terminate,
    /// Stop: SIGKILL to everything that belongs to the replica.
    Kill,
}

/// A way to run replicas.
#[derive(Clone, Debug)]
pub enum Driver {
    /// As plain processes of this machine.
    Process(ProcessDriver),
    /// As containers, by Docker or Podman.
    Docker(DockerDriver),
}

/// Pieces of a replica's output, in order.
pub type LogStream = ReceiverStream<Result<Bytes, LogsError>>;

impl Driver {
    /// Starts a run and waits until its program runs, or could not be run.
    ///
    /// A start goes on when the future is dropped; its end is then told as an event.
    ///
    /// # Errors
    /// [`StartError`], whose text is what a user reads. Nothing is left running then.
    pub async fn start(&self, order: StartOrder) -> Result<Started, StartError> {
        match self {
            Self::Process(driver) => driver.start(order).await,
            Self::Docker(driver) => driver.start(order).await,
        }
    }

    /// Signals all processes of a replica. Returns when the signal is sent, not when it has worked.
    ///
    /// # Errors
    /// When nothing runs under this id, or the system refuses.
    pub async fn signal(&self, replica_id: ReplicaId, signal: Signal) -> Result<(), DriverError> {
        match self {
            Self::Process(driver) => driver.signal(replica_id, signal).await,
            Self::Docker(driver) => driver.signal(replica_id, signal).await,
        }
    }

    /// Finds what an earlier agent process left behind: watches what is alive, tells how the rest ended. To be called
    /// once, before the first start.
    pub async fn adopt(&self) -> Vec<Adopted> {
        match self {
            Self::Process(driver) => driver.adopt().await,
            Self::Docker(driver) => driver.adopt().await,
        }
    }

    /// Removes what is kept about a replica whose end is acknowledged. The output of the last few can still be read.
    /// Does nothing while it runs.
    pub fn forget(&self, replica_id: ReplicaId) {
        match self {
            Self::Process(driver) => driver.forget(replica_id),
            Self::Docker(driver) => driver.forget(replica_id),
        }
    }

    /// What each running replica takes: processor time since the last call, memory now. Reads files, some milliseconds
    /// where the machine has no cgroups; of containers, what the engine said when it was asked last.
    #[must_use]
    pub fn usage(&self) -> Vec<ReplicaUsage> {
        match self {
            Self::Process(driver) => driver.usage(),
            Self::Docker(driver) => driver.usage(),
        }
    }

    /// A replica's output: its last `tail_lines` lines, and with `follow` what comes after, until the replica is
    /// forgotten or the stream is dropped.
    ///
    /// # Errors
    /// When there is no output of such a replica on this machine, or it cannot be read.
    pub async fn logs(&self, replica_id: ReplicaId, tail_lines: u32, follow: bool) -> Result<LogStream, LogsError> {
        match self {
            Self::Process(driver) => driver.logs(replica_id, tail_lines, follow).await,
            Self::Docker(driver) => driver.logs(replica_id, tail_lines, follow).await,
        }
    }

    /// Runs a command in a replica that runs: in its working directory, with its environment and within its limits. It is
    /// killed, with what it has started, when its time is over.
    ///
    /// # Errors
    /// When the replica does not run, or the command took too long. A command that could not be run is no error: its exit
    /// code says so.
    pub async fn exec(&self, replica_id: ReplicaId, order: &ExecOrder) -> Result<ExecOutcome, ExecError> {
        match self {
            Self::Process(driver) => driver.exec(replica_id, order).await,
            Self::Docker(driver) => driver.exec(replica_id, order).await,
        }
    }

    /// In words: which limits replicas get on this machine, or why they get none.
    #[must_use]
    pub fn limits(&self) -> String {
        match self {
            Self::Process(driver) => driver.limits(),
            Self::Docker(driver) => driver.limits(),
        }
    }

    /// Whether something of this replica is kept here, running or not.
    #[must_use]
    pub fn knows(&self, replica_id: ReplicaId) -> bool {
        match self {
            Self::Process(driver) => driver.knows(replica_id),
            Self::Docker(driver) => driver.knows(replica_id),
        }
    }
}

/// Runs what blocks where that is allowed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)
}
