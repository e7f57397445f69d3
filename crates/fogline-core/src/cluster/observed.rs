//! What was seen and need not survive: last signs of life, load, readiness, recent failures.
//!
//! Yields no rows, needs no commit. After a restart a new leader knows nothing of it: it counts every node as seen at
//! its take-over and every replica that was running as ready, and learns better from the next reports.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::assignment::AssignedReplica;
use crate::id::{DeploymentId, NodeId, ReplicaId};
use crate::observation::NodeUsage;
use crate::time::Timestamp;

/// What was seen of one replica.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ReplicaObserved {
    /// The highest report heard.
    pub seq: u64,
    /// Whether its readiness check passes.
    pub ready: bool,
    /// Processor time it uses.
    pub cpu_millis: u32,
    /// Memory it uses.
    pub memory_mb: u32,
    /// When these two were last told; nothing before.
    pub usage_at: Option<Timestamp>,
}

/// What was seen of one node.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeObserved {
    /// When its agent was last heard.
    pub last_seen: Timestamp,
    /// Its last load, and when that was told.
    pub usage: Option<(NodeUsage, Timestamp)>,
    /// Replicas that run there and that this cluster has no row of. Kept until somebody stops them by hand.
    pub unlisted: BTreeSet<ReplicaId>,
    /// Those of them that are to be stopped. Part of the node's list until its agent has stopped them.
    pub condemned: BTreeMap<ReplicaId, AssignedReplica>,
}

/// The recent failures of one deployment.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Failures {
    /// In a row, without a replica that became ready in between.
    pub in_a_row: u32,
    /// When the last one was.
    pub last_at: Timestamp,
    /// Why it was.
    pub reason: Option<Arc<str>>,
    /// Where they were.
    pub nodes: Vec<(NodeId, Timestamp)>,
    /// Failed replicas that no new one has taken over from yet.
    pub unreplaced: BTreeSet<ReplicaId>,
}

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "one map a subject")]
pub struct Observed {
    pub nodes: HashMap<NodeId, NodeObserved>,
    pub replicas: HashMap<ReplicaId, ReplicaObserved>,
    pub failures: HashMap<DeploymentId, Failures>,
}
