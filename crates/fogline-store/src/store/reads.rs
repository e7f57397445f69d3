//! Reads for people: they go past the writer, see only what is committed, and come in pages.

use fogline_core::cluster::RevisionRecord;
use fogline_core::id::{DeploymentId, NodeId, ReplicaId, SessionId, UserId};
use fogline_core::record::{
    DeploymentRecord, IdempotencyRecord, NodeRecord, ReplicaRecord, SessionRecord, StatusHistoryRecord, UserRecord,
};

use super::{Backend, Store};
use crate::audit_entry::AuditEntry;
use crate::counts::Counts;
use crate::error::StoreError;
use crate::filter::DeploymentFilter;
use crate::page::{Page, PageRequest};

/// All of them fail when a row is damaged or the database fails, and those with a page when the cursor is not theirs.
#[expect(clippy::missing_errors_doc, reason = "the same for all, said above")]
impl Store {
    /// The answers that these keys were given before, for those that were.
    pub async fn answered(&self, keys: &[(UserId, &str)]) -> Result<Vec<IdempotencyRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.answered(keys).await,
        }
    }

    /// A user.
    pub async fn user(&self, id: UserId) -> Result<Option<UserRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.user(id).await,
        }
    }

    /// The user of exactly this name.
    pub async fn user_by_name(&self, username: &str) -> Result<Option<UserRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.user_by_name(username).await,
        }
    }

    /// Users, by name.
    pub async fn users(&self, page: &PageRequest) -> Result<Page<UserRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.users(page).await,
        }
    }

    /// A session and its user, as authentication needs them: revoked, expired and disabled ones too, so the caller
    /// decides.
    pub async fn session(&self, id: SessionId) -> Result<Option<(SessionRecord, UserRecord)>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.session(id).await,
        }
    }

    /// A node.
    pub async fn node(&self, id: NodeId) -> Result<Option<NodeRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.node(id).await,
        }
    }

    /// Nodes, by name.
    pub async fn nodes(&self, page: &PageRequest) -> Result<Page<NodeRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.nodes(page).await,
        }
    }

    /// A deployment, a deleted one too.
    pub async fn deployment(&self, id: DeploymentId) -> Result<Option<DeploymentRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.deployment(id).await,
        }
    }

    /// Deployments, oldest first.
    pub async fn deployments(
        &self,
        filter: &DeploymentFilter,
        page: &PageRequest,
    ) -> Result<Page<DeploymentRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.deployments(filter, page).await,
        }
    }

    /// How many deployments there are on all pages.
    pub async fn deployment_count(&self, filter: &DeploymentFilter) -> Result<u64, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.deployment_count(filter).await,
        }
    }

    /// What a deployment looked like at a revision.
    pub async fn revision(
        &self,
        deployment: DeploymentId,
        revision: u32,
    ) -> Result<Option<RevisionRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.revision(deployment, revision).await,
        }
    }

    /// The revisions of a deployment, newest first.
    pub async fn revisions(
        &self,
        deployment: DeploymentId,
        page: &PageRequest,
    ) -> Result<Page<RevisionRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.revisions(deployment, page).await,
        }
    }

    /// A replica, an ended one too as long as it is kept.
    pub async fn replica(&self, id: ReplicaId) -> Result<Option<ReplicaRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.replica(id).await,
        }
    }

    /// The replicas of a deployment, oldest first; those that have ended only when asked for.
    pub async fn replicas(
        &self,
        deployment: DeploymentId,
        page: &PageRequest,
        include_ended: bool,
    ) -> Result<Page<ReplicaRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.replicas(deployment, page, include_ended).await,
        }
    }

    /// The replicas of these deployments that are not gone, oldest first.
    pub async fn live_replicas(&self, deployments: &[DeploymentId]) -> Result<Vec<ReplicaRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.live_replicas(deployments).await,
        }
    }

    /// The last line of a deployment's status history.
    pub async fn last_history(&self, deployment: DeploymentId) -> Result<Option<StatusHistoryRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.last_history(deployment).await,
        }
    }

    /// The status history of a deployment, oldest line first.
    pub async fn history(
        &self,
        deployment: DeploymentId,
        page: &PageRequest,
    ) -> Result<Page<StatusHistoryRecord>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.history(deployment, page).await,
        }
    }

    /// The audit log, newest line first.
    pub async fn audit(&self, page: &PageRequest) -> Result<Page<AuditEntry>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.audit(page).await,
        }
    }

    /// How many rows there are.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.counts().await,
        }
    }
}
