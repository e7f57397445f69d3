//! What a supervisor is told, and what it wants done.

use std::sync::Arc;

use fogline_core::assignment::Assignment;
use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::observation::ReplicaReport;
use fogline_core::spec::WarmUpSpec;

use super::memo::Memo;
use super::readiness::ProbeTarget;
use crate::driver::{Adopted, Exit, Signal, StartError, StartOrder, Started};

/// What a supervisor is told.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// What an earlier agent process left behind. Comes first, once.
    Restored {
        /// What it remembered.
        memos: Vec<Memo>,
        /// What the driver found.
        adopted: Vec<Adopted>,
    },
    /// A node's whole list, which the session has accepted.
    Assigned {
        /// The node's name, by which this agent knows it.
        node: Arc<str>,
        /// The id that the cluster gave it.
        node_id: NodeId,
        /// The list.
        assignment: Assignment,
        /// Why the list could not be written to disk. Then stops are obeyed, and nothing new is started: a list that a
        /// restart would forget must not leave anything running.
        unsaved: Option<String>,
    },
    /// A node's list as it was found on disk. Comes after `Restored`, once a node. Newer ones may have been obeyed that
    /// could not be written, so it says nothing of what is not on it.
    #[expect(missing_docs, reason = "as in Assigned")]
    Recalled { node: Arc<str>, node_id: NodeId, assignment: Assignment },
    /// A start has worked.
    #[expect(missing_docs, reason = "as in StartOrder")]
    Started { replica_id: ReplicaId, run: u32, started: Started },
    /// A start goes on: its image is being pulled.
    #[expect(missing_docs, reason = "as in DriverEvent")]
    Preparing { replica_id: ReplicaId, run: u32, progress: String },
    /// A start has not worked, and nothing is left of it.
    #[expect(missing_docs, reason = "as in StartOrder")]
    StartFailed { replica_id: ReplicaId, run: u32, error: StartError },
    /// A start was not tried, because another program has the port.
    #[expect(missing_docs, reason = "as in StartOrder")]
    PortTaken { replica_id: ReplicaId, run: u32, port: u16 },
    /// A run is over.
    #[expect(missing_docs, reason = "as in DriverEvent")]
    Exited { replica_id: ReplicaId, run: u32, exit: Exit },
    /// What was held, or kept a start from being done, can be made out now: it is alive.
    Adopted(Box<Adopted>),
    /// A probe was answered: `Err` says how not.
    #[expect(missing_docs, reason = "as in ProbeOrder")]
    Probed { replica_id: ReplicaId, run: u32, number: u64, result: Result<(), String> },
    /// A warm-up is over: `Err` says how it failed.
    #[expect(missing_docs, reason = "as in WarmUpOrder")]
    WarmedUp { replica_id: ReplicaId, run: u32, result: Result<(), String> },
    /// The agent goes and takes its replicas with it.
    StopAll,
    /// Time has passed.
    Tick,
}

/// What a supervisor wants done, in this order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Remember this, before anything that comes after it is done.
    Persist(Memo),
    /// Try the port, then start this; answer with `Started`, `StartFailed` or `PortTaken`.
    Start(StartOrder),
    /// Signal all processes of a replica.
    #[expect(missing_docs, reason = "the variant's doc says it")]
    Signal { replica_id: ReplicaId, signal: Signal },
    /// Ask a replica; answer with `Probed`.
    Probe(ProbeOrder),
    /// Warm a replica up; answer with `WarmedUp`.
    WarmUp(WarmUpOrder),
    /// This is new.
    Report {
        /// The name of the replica's node.
        node: Arc<str>,
        /// The whole of what is known of it.
        report: ReplicaReport,
    },
    /// Its end is known to everyone: remove what is kept of it.
    #[expect(missing_docs, reason = "the variant's doc says it")]
    Forget { replica_id: ReplicaId },
}

/// A probe to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeOrder {
    /// Whom to ask.
    pub replica_id: ReplicaId,
    /// Which run of it.
    pub run: u32,
    /// Which question: goes into the answer.
    pub number: u64,
    /// What.
    pub target: ProbeTarget,
    /// How long an answer may take.
    pub timeout_us: u64,
}

/// A warm-up to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WarmUpOrder {
    /// Of whom.
    pub replica_id: ReplicaId,
    /// Which run of it.
    pub run: u32,
    /// Its port on the machine, where it has one.
    pub port: Option<u16>,
    /// What is to be done.
    pub spec: WarmUpSpec,
    /// How long all of it may take.
    pub timeout_us: u64,
}
