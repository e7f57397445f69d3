//! Replicas.

use fogline_core::id::{DeploymentId, ReplicaId};
use fogline_core::record::ReplicaRecord;

use super::{all, one};
use crate::error::StoreError;
use crate::page::{List, Page, PageRequest};
use crate::sqlite::{SqliteStore, row};

const TABLE: &str = "deployment_replicas";

impl SqliteStore {
    pub(crate) async fn replica(&self, id: ReplicaId) -> Result<Option<ReplicaRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM deployment_replicas WHERE id = ?1").bind(id.to_string());
        one(&self.readers, query, TABLE, row::replica).await
    }

    pub(crate) async fn replicas(
        &self,
        deployment: DeploymentId,
        page: &PageRequest,
        include_ended: bool,
    ) -> Result<Page<ReplicaRecord>, StoreError> {
        let after = List::Replicas.parse::<ReplicaId>(page)?;
        let sql = "SELECT * FROM deployment_replicas WHERE deployment_id = ?1 AND id > ?2 \
            AND (?3 OR status NOT IN ('stopped', 'failed')) ORDER BY id LIMIT ?4";
        let query = sqlx::query(sql)
            .bind(deployment.to_string())
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(include_ended)
            .bind(page.rows());
        let replicas = all(&self.readers, query, TABLE, row::replica).await?;
        Ok(Page::of(replicas, page, List::Replicas, |replica| replica.id.to_string()))
    }

    pub(crate) async fn live_replicas(&self, deployments: &[DeploymentId]) -> Result<Vec<ReplicaRecord>, StoreError> {
        if deployments.is_empty() {
            return Ok(Vec::new());
        }
        // One parameter however many there are, so that it is one statement.
        let asked = serde_json::to_string(deployments).map_err(|error| StoreError::Database {
            detail: format!("the deployments cannot be asked for: {error}"),
        })?;
        let sql = "SELECT deployment_replicas.* FROM json_each(?1) AS asked JOIN deployment_replicas \
            ON deployment_id = asked.value WHERE status NOT IN ('stopped', 'failed') ORDER BY deployment_replicas.id";
        all(&self.readers, sqlx::query(sql).bind(asked), TABLE, row::replica).await
    }
}
