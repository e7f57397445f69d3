//! The whole list of what one node should run: what an agent is given.
//!
//! Invariant: built from durable rows only, so that an agent never acts on something that a crash could take back.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{DeploymentId, ReplicaId};
use crate::image_digest::ImageDigest;
use crate::spec::ReplicaTemplate;

/// What should become of a replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// It should run.
    Run,
    /// It should be gone.
    Stop,
}

/// One replica of the list.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as in ReplicaRecord")]
pub struct AssignedReplica {
    pub replica_id: ReplicaId,
    pub deployment_id: DeploymentId,
    pub revision: u32,
    pub want: Want,
}

/// What the replicas of one revision are started from.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "as in DeploymentRecord")]
pub struct AssignedTemplate {
    pub deployment_name: String,
    pub template: Arc<ReplicaTemplate>,
    /// What the image is, once that is settled: every start from then on is of this and no other.
    pub image_digest: Option<ImageDigest>,
}

/// A node's whole list. Templates are there once, however many replicas share them.
#[derive(Clone, PartialEq, Debug, Default)]
#[expect(missing_docs, reason = "the struct's doc says it")]
pub struct Assignment {
    pub replicas: Vec<AssignedReplica>,
    pub templates: BTreeMap<(DeploymentId, u32), AssignedTemplate>,
}

/// Who decided, and how far they were: an agent keeps the highest and refuses what is lower.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authority {
    /// The cluster that the agent belongs to. An agent never changes it by itself.
    pub cluster_id: String,
    /// Counts the take-overs.
    pub epoch: u64,
    /// A nonce of the server that holds the epoch: the same epoch from another holder is refused.
    pub holder: String,
    /// The commit that the list follows from; grows within an epoch.
    pub generation: u64,
}
