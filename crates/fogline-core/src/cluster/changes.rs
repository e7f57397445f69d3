//! What a batch of commands changed: every row with how it was before and how it is after.
//!
//! The one record of a change. The store writes the `after`s in one transaction, the cluster takes the `before`s back
//! when that transaction fails, and watchers are told of the `after`s once it is durable.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use crate::id::{DecisionId, DeploymentId, NodeId, PolicyId, ReplicaId, SessionId, UserId};
use crate::image_digest::ImageDigest;
use crate::record::{
    AuditRecord, DecisionRecord, DeploymentRecord, IdempotencyRecord, NodeRecord, PolicyRecord, PolicyVersionRecord,
    ReplicaRecord, ScalingStateRecord, ScalingTarget, SessionRecord, StatusHistoryRecord, UserRecord,
};
use crate::spec::DeploymentSpec;
use crate::time::Timestamp;

/// A row before and after. Added: nothing before. Removed: nothing after.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the struct's doc says it")]
pub struct Edit<T> {
    pub before: Option<T>,
    pub after: Option<T>,
}

/// The edits of one table, at most one a row, in the order in which rows were first touched.
#[derive(Clone, Debug)]
pub struct Edits<K, T> {
    index: HashMap<K, usize>,
    edits: Vec<(K, Edit<T>)>,
}

impl<K, T> Default for Edits<K, T> {
    fn default() -> Self {
        Self { index: HashMap::new(), edits: Vec::new() }
    }
}

impl<K: Clone + Eq + Hash, T> Edits<K, T> {
    /// Remembers one more change of a row; `before` counts only the first time.
    pub fn record(&mut self, key: K, before: Option<T>, after: Option<T>) {
        match self.index.get(&key) {
            Some(&at) => self.edits[at].1.after = after,
            None => {
                self.index.insert(key.clone(), self.edits.len());
                self.edits.push((key, Edit { before, after }));
            }
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &Edit<T>)> + ExactSizeIterator {
        self.edits.iter().map(|(key, edit)| (key.clone(), edit))
    }

    /// Rows as they are now, those that are still there.
    pub fn upserts(&self) -> impl Iterator<Item = &T> {
        self.edits.iter().filter_map(|(_, edit)| edit.after.as_ref())
    }

    /// Keys of the rows that are gone and were there before the batch.
    pub fn removals(&self) -> impl Iterator<Item = K> {
        self.edits.iter().filter(|(_, edit)| edit.after.is_none() && edit.before.is_some()).map(|(key, _)| key.clone())
    }

    /// How many rows were touched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.edits.len()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }
}

/// A row of `deployment_revisions`: what the deployment looked like then.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the columns speak for themselves")]
pub struct RevisionRecord {
    pub deployment_id: DeploymentId,
    pub revision: u32,
    pub spec: Arc<DeploymentSpec>,
    /// What its image is, once the first replica has found out, or the spec has said so.
    pub image_digest: Option<ImageDigest>,
    pub created_at: Timestamp,
    pub created_by: Option<UserId>,
}

/// Everything that one batch changed.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "one field a table")]
pub struct Changes {
    pub users: Edits<UserId, UserRecord>,
    pub sessions: Edits<SessionId, SessionRecord>,
    pub nodes: Edits<NodeId, NodeRecord>,
    pub deployments: Edits<DeploymentId, DeploymentRecord>,
    pub replicas: Edits<ReplicaId, ReplicaRecord>,
    pub revisions: Vec<RevisionRecord>,
    /// Digests of revisions that were there before the batch. One that goes does so with its deployment.
    pub image_digests: Edits<(DeploymentId, u32), ImageDigest>,
    pub policies: Edits<PolicyId, PolicyRecord>,
    pub policy_versions: Vec<PolicyVersionRecord>,
    pub scaling_states: Edits<ScalingTarget, ScalingStateRecord>,
    /// Those that were added, and pending ones that have ended. None is ever removed here; old holds are pruned.
    pub decisions: Edits<DecisionId, DecisionRecord>,
    pub history: Vec<StatusHistoryRecord>,
    pub audit: Vec<AuditRecord>,
    pub idempotency: Vec<IdempotencyRecord>,
    /// Nodes whose list is another though no row is, because replicas of theirs have been released.
    pub released: BTreeSet<NodeId>,
    /// Deployments whose replicas take requests otherwise than before though no row says so: one is ready now or is not
    /// any more, its node was lost or is back, or there is no room for more of them.
    pub readiness: BTreeSet<DeploymentId>,
}

impl Changes {
    /// Whether there is nothing to write. There may be something to tell all the same: `released` and `readiness`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
            && self.sessions.is_empty()
            && self.nodes.is_empty()
            && self.deployments.is_empty()
            && self.replicas.is_empty()
            && self.revisions.is_empty()
            && self.image_digests.is_empty()
            && self.policies.is_empty()
            && self.policy_versions.is_empty()
            && self.scaling_states.is_empty()
            && self.decisions.is_empty()
            && self.history.is_empty()
            && self.audit.is_empty()
            && self.idempotency.is_empty()
    }
}
