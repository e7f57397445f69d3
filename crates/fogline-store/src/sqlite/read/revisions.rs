//! What deployments looked like before.

use fogline_core::cluster::RevisionRecord;
use fogline_core::id::DeploymentId;

use super::{all, one};
use crate::error::StoreError;
use crate::page::{List, Page, PageRequest};
use crate::sqlite::{SqliteStore, row};

const TABLE: &str = "deployment_revisions";

impl SqliteStore {
    pub(crate) async fn revision(
        &self,
        deployment: DeploymentId,
        revision: u32,
    ) -> Result<Option<RevisionRecord>, StoreError> {
        let sql = "SELECT * FROM deployment_revisions WHERE deployment_id = ?1 AND revision = ?2";
        let query = sqlx::query(sql).bind(deployment.to_string()).bind(revision);
        one(&self.readers, query, TABLE, row::revision).await
    }

    pub(crate) async fn revisions(
        &self,
        deployment: DeploymentId,
        page: &PageRequest,
    ) -> Result<Page<RevisionRecord>, StoreError> {
        let before = List::Revisions.parse::<u32>(page)?;
        let sql = "SELECT * FROM deployment_revisions WHERE deployment_id = ?1 AND revision < ?2 \
            ORDER BY revision DESC LIMIT ?3";
        let query =
            sqlx::query(sql).bind(deployment.to_string()).bind(before.map_or(i64::MAX, i64::from)).bind(page.rows());
        let revisions = all(&self.readers, query, TABLE, row::revision).await?;
        Ok(Page::of(revisions, page, List::Revisions, |revision| revision.revision.to_string()))
    }
}
