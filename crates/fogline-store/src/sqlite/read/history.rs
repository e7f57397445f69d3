//! Status history.

use fogline_core::id::DeploymentId;
use fogline_core::record::StatusHistoryRecord;

use super::{all, one};
use crate::error::StoreError;
use crate::page::{List, Page, PageRequest};
use crate::sqlite::{SqliteStore, row};

impl SqliteStore {
    pub(crate) async fn history(
        &self,
        deployment: DeploymentId,
        page: &PageRequest,
    ) -> Result<Page<StatusHistoryRecord>, StoreError> {
        let after = List::History.parse::<u32>(page)?.unwrap_or(0);
        let sql = "SELECT * FROM deployment_status_history WHERE deployment_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
        let query = sqlx::query(sql).bind(deployment.to_string()).bind(after).bind(page.rows());
        let lines = all(&self.readers, query, "deployment_status_history", row::history).await?;
        Ok(Page::of(lines, page, List::History, |line| line.seq.to_string()))
    }

    pub(crate) async fn last_history(
        &self,
        deployment: DeploymentId,
    ) -> Result<Option<StatusHistoryRecord>, StoreError> {
        let sql = "SELECT * FROM deployment_status_history WHERE deployment_id = ?1 ORDER BY seq DESC LIMIT 1";
        let query = sqlx::query(sql).bind(deployment.to_string());
        one(&self.readers, query, "deployment_status_history", row::history).await
    }
}
