//! Deployments.

use fogline_core::id::DeploymentId;
use fogline_core::record::DeploymentRecord;

use sqlx::Row;

use super::{all, one};
use crate::error::StoreError;
use crate::filter::DeploymentFilter;
use crate::page::{List, Page, PageRequest};
use crate::sqlite::{SqliteStore, row};

/// Ids grow with time, so this is the order in which they were made. One text for an owner's list, which an index
/// answers, and one for everyone's, which goes along the key.
const OF_ONE: &str = "SELECT * FROM deployments WHERE user_id = ?1 AND (?2 IS NULL OR status = ?2) \
    AND (?3 IS NULL OR name = ?3) AND (?4 OR deleted_at IS NULL) AND id > ?5 ORDER BY id LIMIT ?6";
const OF_ALL: &str = "SELECT * FROM deployments WHERE ?1 IS NULL AND (?2 IS NULL OR status = ?2) \
    AND (?3 IS NULL OR name = ?3) AND (?4 OR deleted_at IS NULL) AND id > ?5 ORDER BY id LIMIT ?6";

/// How many are in the lists above.
const COUNT_OF_ONE: &str = "SELECT count(*) FROM deployments WHERE user_id = ?1 AND (?2 IS NULL OR status = ?2) \
    AND (?3 IS NULL OR name = ?3) AND (?4 OR deleted_at IS NULL)";
const COUNT_OF_ALL: &str = "SELECT count(*) FROM deployments WHERE ?1 IS NULL AND (?2 IS NULL OR status = ?2) \
    AND (?3 IS NULL OR name = ?3) AND (?4 OR deleted_at IS NULL)";

impl SqliteStore {
    pub(crate) async fn deployment(&self, id: DeploymentId) -> Result<Option<DeploymentRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM deployments WHERE id = ?1").bind(id.to_string());
        one(&self.readers, query, "deployments", row::deployment).await
    }

    pub(crate) async fn deployments(
        &self,
        filter: &DeploymentFilter,
        page: &PageRequest,
    ) -> Result<Page<DeploymentRecord>, StoreError> {
        let after = List::Deployments.parse::<DeploymentId>(page)?;
        let query = sqlx::query(if filter.user.is_some() { OF_ONE } else { OF_ALL })
            .bind(filter.user.map(|id| id.to_string()))
            .bind(filter.status.map(|status| status.as_str()))
            .bind(filter.name.clone())
            .bind(filter.include_deleted)
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(page.rows());
        let deployments = all(&self.readers, query, "deployments", row::deployment).await?;
        Ok(Page::of(deployments, page, List::Deployments, |deployment| deployment.id.to_string()))
    }

    pub(crate) async fn deployment_count(&self, filter: &DeploymentFilter) -> Result<u64, StoreError> {
        let query = sqlx::query(if filter.user.is_some() { COUNT_OF_ONE } else { COUNT_OF_ALL })
            .bind(filter.user.map(|id| id.to_string()))
            .bind(filter.status.map(|status| status.as_str()))
            .bind(filter.name.clone())
            .bind(filter.include_deleted);
        Ok(query.fetch_one(&self.readers).await?.try_get::<i64, _>(0)?.unsigned_abs())
    }
}
