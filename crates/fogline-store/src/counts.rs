//! Numbers about the rows: how many there are, and how many were let go of.

use fogline_core::state::{DeploymentStatus, ReplicaStatus};

/// How many rows there are, for `/metrics`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Users, disabled ones included.
    pub users: u64,
    /// Nodes, offline ones included.
    pub nodes: u64,
    /// Deployments of each status that there is one of, deleted ones included.
    pub deployments: Vec<(DeploymentStatus, u64)>,
    /// Replicas of each status that there is one of, ended ones that are still kept included.
    pub replicas: Vec<(ReplicaStatus, u64)>,
    /// What the database occupies, without what was written since its last checkpoint.
    pub database_bytes: u64,
}

/// How many rows [`crate::Store::prune`] let go of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pruned {
    /// Ended replicas beyond the last 50 of their deployment.
    pub replicas: u64,
    /// Idempotency keys older than 24 hours.
    pub idempotency_keys: u64,
    /// Sessions that have expired.
    pub sessions: u64,
}
