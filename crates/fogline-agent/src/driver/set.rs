//! The drivers of one agent: each order goes to the one that can run it, each question to the one that knows the replica.
//!
//! Decides by the order's runtime, and afterwards by what each driver keeps on disk, so that an agent that restarts needs
//! no table of its own. Invariant: a replica is known to one driver only, because its runtime never changes. Tests:
//! `tests/it/driver.rs`.

use fogline_core::id::ReplicaId;
use fogline_core::observation::ReplicaUsage;
use fogline_core::spec::Runtime;

use super::{
    Adopted, DockerDriver, Driver, DriverError, ExecError, ExecOrder, ExecOutcome, LogStream, LogsError, ProcessDriver,
    Signal, StartError, StartOrder, Started,
};

/// The drivers of one agent. Clones are the same drivers.
#[derive(Clone, Debug)]
pub struct Drivers {
    process: Driver,
    docker: Option<Driver>,
}

impl Drivers {
    /// Processes always; containers where the agent was not told to leave them alone.
    #[must_use]
    pub fn new(process: ProcessDriver, docker: Option<DockerDriver>) -> Self {
        Self { process: Driver::Process(process), docker: docker.map(Driver::Docker) }
    }

    /// As [`Driver::start`].
    ///
    /// # Errors
    /// As there, and when there is no driver for the order's runtime.
    pub async fn start(&self, order: StartOrder) -> Result<Started, StartError> {
        match (order.template.runtime, &self.docker) {
            (Runtime::Process, _) => self.process.start(order).await,
            (Runtime::Docker, Some(docker)) => docker.start(order).await,
            (Runtime::Docker, None) => Err(StartError::NoEngine {
                reason: "this agent was told to run no containers (`agent.docker` is off)".to_owned(),
            }),
        }
    }

    /// As [`Driver::signal`].
    ///
    /// # Errors
    /// As there.
    pub async fn signal(&self, replica_id: ReplicaId, signal: Signal) -> Result<(), DriverError> {
        self.of(replica_id).signal(replica_id, signal).await
    }

    /// As [`Driver::adopt`], of all drivers.
    pub async fn adopt(&self) -> Vec<Adopted> {
        let mut adopted = self.process.adopt().await;
        if let Some(docker) = &self.docker {
            adopted.extend(docker.adopt().await);
        }
        adopted
    }

    /// As [`Driver::forget`].
    pub fn forget(&self, replica_id: ReplicaId) {
        self.of(replica_id).forget(replica_id);
    }

    /// As [`Driver::usage`], of all drivers.
    #[must_use]
    pub fn usage(&self) -> Vec<ReplicaUsage> {
        self.all().flat_map(Driver::usage).collect()
    }

    /// As [`Driver::logs`].
    ///
    /// # Errors
    /// As there.
    pub async fn logs(&self, replica_id: ReplicaId, tail_lines: u32, follow: bool) -> Result<LogStream, LogsError> {
        self.of(replica_id).logs(replica_id, tail_lines, follow).await
    }

    /// As [`Driver::exec`].
    ///
    /// # Errors
    /// As there.
    pub async fn exec(&self, replica_id: ReplicaId, order: &ExecOrder) -> Result<ExecOutcome, ExecError> {
        self.of(replica_id).exec(replica_id, order).await
    }

    /// In words: what each driver limits.
    #[must_use]
    pub fn limits(&self) -> String {
        self.all().map(Driver::limits).collect::<Vec<_>>().join("; ")
    }

    fn all(&self) -> impl Iterator<Item = &Driver> {
        std::iter::once(&self.process).chain(&self.docker)
    }

    fn of(&self, replica_id: ReplicaId) -> &Driver {
        self.docker.as_ref().filter(|docker| docker.knows(replica_id)).unwrap_or(&self.process)
    }
}
