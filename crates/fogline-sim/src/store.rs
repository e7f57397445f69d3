//! The simulated disk of the servers: rows that are committed whole or not at all, under the lease's epoch.
//!
//! Stands in for the real store, which has tests of its own on real files. What it adds is chance: a commit may find
//! the disk full, fail, or be done without anybody hearing of it.

use std::collections::BTreeMap;

use fogline_core::cluster::{Changes, Durable, RevisionRecord};
use fogline_core::id::{DecisionId, DeploymentId, NodeId, PolicyId, ReplicaId, UserId};
use fogline_core::record::{
    DecisionRecord, DecisionStatus, DeploymentRecord, NodeRecord, PolicyRecord, ReplicaRecord, ScalingStateRecord,
    ScalingTarget, UserRecord,
};
use fogline_core::state::DeploymentStatus;

/// What the disk does to commits at present.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Disk {
    /// What it should.
    #[default]
    Healthy,
    /// It is full: every commit is refused and rolled back.
    Full,
    /// fsync fails: nothing can be believed from here on.
    Broken,
    /// The answer to COMMIT is lost, whether it was done or not.
    Silent,
}

/// Why a commit was not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommitError {
    /// Another server has taken over.
    Fenced,
    /// Rolled back; the disk is full.
    Full,
    /// The server must go.
    Broken,
    /// Nobody knows.
    Unknown,
}

/// All rows.
#[derive(Clone, Debug, Default)]
pub struct Store {
    epoch: u64,
    holder: u64,
    revision: u64,
    users: BTreeMap<UserId, UserRecord>,
    nodes: BTreeMap<NodeId, NodeRecord>,
    deployments: BTreeMap<DeploymentId, DeploymentRecord>,
    revisions: BTreeMap<(DeploymentId, u32), RevisionRecord>,
    replicas: BTreeMap<ReplicaId, ReplicaRecord>,
    policies: BTreeMap<PolicyId, PolicyRecord>,
    scaling_states: BTreeMap<ScalingTarget, ScalingStateRecord>,
    decisions: BTreeMap<DecisionId, DecisionRecord>,
}

impl Store {
    /// A server takes over: from now on commits of the epoch before are refused.
    pub fn take_over(&mut self, holder: u64) -> u64 {
        self.epoch += 1;
        self.holder = holder;
        self.epoch
    }

    /// Writes a batch, or does not.
    ///
    /// # Errors
    /// As the disk has it.
    pub fn commit(
        &mut self,
        epoch: u64,
        holder: u64,
        changes: &Changes,
        disk: Disk,
        lost: bool,
    ) -> Result<u64, CommitError> {
        if (epoch, holder) != (self.epoch, self.holder) {
            return Err(CommitError::Fenced);
        }
        match disk {
            Disk::Full => return Err(CommitError::Full),
            Disk::Broken => return Err(CommitError::Broken),
            Disk::Silent if lost => return Err(CommitError::Unknown),
            Disk::Silent | Disk::Healthy => {}
        }
        self.revision += 1;
        merge(&mut self.users, &changes.users);
        merge(&mut self.nodes, &changes.nodes);
        merge(&mut self.deployments, &changes.deployments);
        merge(&mut self.replicas, &changes.replicas);
        merge(&mut self.policies, &changes.policies);
        merge(&mut self.scaling_states, &changes.scaling_states);
        merge(&mut self.decisions, &changes.decisions);
        for revision in &changes.revisions {
            self.revisions.insert((revision.deployment_id, revision.revision), revision.clone());
        }
        for (key, edit) in changes.image_digests.iter() {
            if let (Some(revision), Some(digest)) = (self.revisions.get_mut(&key), &edit.after) {
                revision.image_digest = Some(digest.clone());
            }
        }
        if disk == Disk::Silent { Err(CommitError::Unknown) } else { Ok(self.revision) }
    }

    /// What a server that takes over reads.
    #[must_use]
    pub fn load(&self) -> Durable {
        let replicas: Vec<ReplicaRecord> =
            self.replicas.values().filter(|replica| !replica.status.is_terminal()).cloned().collect();
        let needed = |id: &DeploymentId| replicas.iter().any(|replica| replica.deployment_id == *id);
        Durable {
            policies: self.policies.values().cloned().collect(),
            scaling_states: self.scaling_states.values().cloned().collect(),
            decisions: self
                .decisions
                .values()
                .filter(|decision| decision.status == DecisionStatus::Pending)
                .cloned()
                .collect(),
            users: self.users.values().cloned().collect(),
            sessions: Vec::new(),
            nodes: self.nodes.values().cloned().collect(),
            deployments: self
                .deployments
                .values()
                .filter(|deployment| deployment.status != DeploymentStatus::Deleted || needed(&deployment.id))
                .cloned()
                .collect(),
            revisions: self
                .revisions
                .values()
                .filter(|revision| {
                    let current = self.deployments.get(&revision.deployment_id).map(|deployment| deployment.revision);
                    if revision.image_digest.is_some() && current == Some(revision.revision) {
                        return true;
                    }
                    replicas.iter().any(|replica| {
                        (replica.deployment_id, replica.revision) == (revision.deployment_id, revision.revision)
                    })
                })
                .cloned()
                .collect(),
            replicas,
        }
    }

    /// Every deployment's row.
    pub fn deployments(&self) -> impl Iterator<Item = &DeploymentRecord> {
        self.deployments.values()
    }

    /// A replica's row.
    #[must_use]
    pub fn replica(&self, id: ReplicaId) -> Option<&ReplicaRecord> {
        self.replicas.get(&id)
    }

    /// Every replica's row.
    pub fn replicas(&self) -> impl Iterator<Item = &ReplicaRecord> {
        self.replicas.values()
    }

    /// Every node's row.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes.values()
    }
}

fn merge<K: Ord + Clone + Eq + std::hash::Hash, T: Clone>(
    rows: &mut BTreeMap<K, T>,
    edits: &fogline_core::cluster::Edits<K, T>,
) {
    for (key, edit) in edits.iter() {
        match &edit.after {
            Some(row) => rows.insert(key, row.clone()),
            None => rows.remove(&key),
        };
    }
}
