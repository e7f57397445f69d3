//! Reads for people: they go past the writer, see only what is committed, and come in pages.

use fogline_core::cluster::RevisionRecord;
use fogline_core::id::{DecisionId, DeploymentId, NodeId, PolicyId, ReplicaId, SessionId, UserId};
use fogline_core::record::{
    DecisionRecord, DeploymentRecord, IdempotencyRecord, NodeRecord, PolicyRecord, PolicyVersionRecord, ReplicaRecord,
    ScalingTarget, SessionRecord, StatusHistoryRecord, UserRecord,
};
use fogline_core::time::Timestamp;

use super::{Backend, Store};
use crate::audit_entry::AuditEntry;
use crate::counts::{Counts, DecisionCount};
use crate::error::StoreError;
use crate::filter::{DecisionFilter, DeploymentFilter, PolicyFilter};
use crate::page::{Page, PageRequest};
use crate::postgres::{READ_DEADLINE, within};
use crate::read;

/// Reads with a connection of whichever backend it is.
macro_rules! read {
    ($store:ident, $db:ident => $read:expr) => {
        match &$store.backend {
            Backend::Sqlite(store) => {
                let $db = &mut *store.reader().await?;
                $read.await
            }
            Backend::Postgres(store) => {
                let mut lent = store.reader().await?;
                let $db = lent.connection();
                let result = within(READ_DEADLINE, $read).await;
                lent.give_back(result)
            }
        }
    };
}

/// All of them fail when a row is damaged or the database fails, and those with a page when the cursor is not theirs.
#[expect(clippy::missing_errors_doc, reason = "the same for all, said above")]
impl Store {
    /// The answers that these keys were given before, for those that were.
    pub async fn answered(&self, keys: &[(UserId, &str)]) -> Result<Vec<IdempotencyRecord>, StoreError> {
        read!(self, db => read::answered(db, keys))
    }

    /// A user.
    pub async fn user(&self, id: UserId) -> Result<Option<UserRecord>, StoreError> {
        read!(self, db => read::user(db, id))
    }

    /// The user of exactly this name.
    pub async fn user_by_name(&self, username: &str) -> Result<Option<UserRecord>, StoreError> {
        read!(self, db => read::user_by_name(db, username))
    }

    /// Users, by name.
    pub async fn users(&self, page: &PageRequest) -> Result<Page<UserRecord>, StoreError> {
        read!(self, db => read::users(db, page))
    }

    /// A session and its user, as authentication needs them: revoked, expired and disabled ones too, so the caller
    /// decides.
    pub async fn session(&self, id: SessionId) -> Result<Option<(SessionRecord, UserRecord)>, StoreError> {
        read!(self, db => read::session(db, id))
    }

    /// A node.
    pub async fn node(&self, id: NodeId) -> Result<Option<NodeRecord>, StoreError> {
        read!(self, db => read::node(db, id))
    }

    /// Nodes, by name.
    pub async fn nodes(&self, page: &PageRequest) -> Result<Page<NodeRecord>, StoreError> {
        read!(self, db => read::nodes(db, page))
    }

    /// A deployment, a deleted one too.
    pub async fn deployment(&self, id: DeploymentId) -> Result<Option<DeploymentRecord>, StoreError> {
        read!(self, db => read::deployment(db, id))
    }

    /// Deployments, oldest first.
    pub async fn deployments(
        &self,
        filter: &DeploymentFilter,
        page: &PageRequest,
    ) -> Result<Page<DeploymentRecord>, StoreError> {
        read!(self, db => read::deployments(db, filter, page))
    }

    /// How many deployments there are on all pages.
    pub async fn deployment_count(&self, filter: &DeploymentFilter) -> Result<u64, StoreError> {
        read!(self, db => read::deployment_count(db, filter))
    }

    /// What a deployment looked like at a revision.
    pub async fn revision(
        &self,
        deployment: DeploymentId,
        revision: u32,
    ) -> Result<Option<RevisionRecord>, StoreError> {
        read!(self, db => read::revision(db, deployment, revision))
    }

    /// The revisions of a deployment, newest first.
    pub async fn revisions(
        &self,
        deployment: DeploymentId,
        page: &PageRequest,
    ) -> Result<Page<RevisionRecord>, StoreError> {
        read!(self, db => read::revisions(db, deployment, page))
    }

    /// A replica, an ended one too as long as it is kept.
    pub async fn replica(&self, id: ReplicaId) -> Result<Option<ReplicaRecord>, StoreError> {
        read!(self, db => read::replica(db, id))
    }

    /// The replicas of a deployment, oldest first; those that have ended only when asked for.
    pub async fn replicas(
        &self,
        deployment: DeploymentId,
        page: &PageRequest,
        include_ended: bool,
    ) -> Result<Page<ReplicaRecord>, StoreError> {
        read!(self, db => read::replicas(db, deployment, page, include_ended))
    }

    /// The replicas of these deployments that are not gone, oldest first.
    pub async fn live_replicas(&self, deployments: &[DeploymentId]) -> Result<Vec<ReplicaRecord>, StoreError> {
        read!(self, db => read::live_replicas(db, deployments))
    }

    /// The last line of a deployment's status history.
    pub async fn last_history(&self, deployment: DeploymentId) -> Result<Option<StatusHistoryRecord>, StoreError> {
        read!(self, db => read::last_history(db, deployment))
    }

    /// The status history of a deployment, oldest line first.
    pub async fn history(
        &self,
        deployment: DeploymentId,
        page: &PageRequest,
    ) -> Result<Page<StatusHistoryRecord>, StoreError> {
        read!(self, db => read::history(db, deployment, page))
    }

    /// A scaling policy.
    pub async fn policy(&self, id: PolicyId) -> Result<Option<PolicyRecord>, StoreError> {
        read!(self, db => read::policy(db, id))
    }

    /// Scaling policies, oldest first.
    pub async fn policies(&self, filter: &PolicyFilter, page: &PageRequest) -> Result<Page<PolicyRecord>, StoreError> {
        read!(self, db => read::policies(db, filter, page))
    }

    /// The versions of a scaling policy, newest first, the present one included.
    pub async fn policy_versions(
        &self,
        policy: PolicyId,
        page: &PageRequest,
    ) -> Result<Page<PolicyVersionRecord>, StoreError> {
        read!(self, db => read::policy_versions(db, policy, page))
    }

    /// A scaling decision, as long as it is kept.
    pub async fn decision(&self, id: DecisionId) -> Result<Option<DecisionRecord>, StoreError> {
        read!(self, db => read::decision(db, id))
    }

    /// Scaling decisions, newest first.
    pub async fn decisions(
        &self,
        filter: &DecisionFilter,
        page: &PageRequest,
    ) -> Result<Page<DecisionRecord>, StoreError> {
        read!(self, db => read::decisions(db, filter, page))
    }

    /// How many scaling decisions there are of a target since a moment, one entry for each kind of which there is one.
    pub async fn decision_counts(
        &self,
        target: &ScalingTarget,
        since: Timestamp,
    ) -> Result<Vec<DecisionCount>, StoreError> {
        read!(self, db => read::decision_counts(db, target, since))
    }

    /// The audit log, newest line first.
    pub async fn audit(&self, page: &PageRequest) -> Result<Page<AuditEntry>, StoreError> {
        read!(self, db => read::audit(db, page))
    }

    /// How many rows there are.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        read!(self, db => read::counts(db))
    }
}
