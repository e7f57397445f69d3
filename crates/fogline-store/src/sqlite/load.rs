//! Everything that the cluster holds in memory, read in one snapshot.

use fogline_core::cluster::Durable;
use sqlx::Executor;

use super::row::{self, Columns};
use super::{SqliteStore, database_clock};
use crate::error::StoreError;

const USERS: &str = "SELECT * FROM users ORDER BY id";
const SESSIONS: &str =
    concat!("SELECT * FROM sessions WHERE revoked_at IS NULL AND expires_at > ", database_clock!(), " ORDER BY id");
const NODES: &str = "SELECT * FROM nodes ORDER BY id";
const DEPLOYMENTS: &str = "SELECT * FROM deployments WHERE deleted_at IS NULL OR id IN \
    (SELECT deployment_id FROM deployment_replicas WHERE status NOT IN ('stopped', 'failed')) ORDER BY id";
const REVISIONS: &str = "SELECT * FROM deployment_revisions WHERE (deployment_id, revision) IN \
    (SELECT deployment_id, revision FROM deployment_replicas WHERE status NOT IN ('stopped', 'failed')) \
    ORDER BY deployment_id, revision";
const REPLICAS: &str = "SELECT * FROM deployment_replicas WHERE status NOT IN ('stopped', 'failed') ORDER BY id";

impl SqliteStore {
    pub(crate) async fn load(&self) -> Result<Durable, StoreError> {
        let mut snapshot = self.readers.begin().await?;
        super::migrate::check_complete(&mut snapshot).await?;
        let mut durable = Durable::default();
        for row in snapshot.fetch_all(USERS).await? {
            durable.users.push(row::user(&Columns::of(&row, "users"))?);
        }
        for row in snapshot.fetch_all(SESSIONS).await? {
            durable.sessions.push(row::session(&Columns::of(&row, "sessions"))?);
        }
        for row in snapshot.fetch_all(NODES).await? {
            durable.nodes.push(row::node(&Columns::of(&row, "nodes"))?);
        }
        for row in snapshot.fetch_all(DEPLOYMENTS).await? {
            durable.deployments.push(row::deployment(&Columns::of(&row, "deployments"))?);
        }
        for row in snapshot.fetch_all(REVISIONS).await? {
            durable.revisions.push(row::revision(&Columns::of(&row, "deployment_revisions"))?);
        }
        for row in snapshot.fetch_all(REPLICAS).await? {
            durable.replicas.push(row::replica(&Columns::of(&row, "deployment_replicas"))?);
        }
        snapshot.commit().await?;
        Ok(durable)
    }
}
