//! How many rows there are.

use std::str::FromStr;

use sqlx::{Executor, Row};

use crate::counts::Counts;
use crate::error::StoreError;
use crate::sqlite::SqliteStore;

impl SqliteStore {
    pub(crate) async fn counts(&self) -> Result<Counts, StoreError> {
        let deployments = "SELECT status, count(*) FROM deployments GROUP BY status";
        let replicas = "SELECT status, count(*) FROM deployment_replicas GROUP BY status";
        let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        Ok(Counts {
            users: self.count("SELECT count(*) FROM users").await?,
            nodes: self.count("SELECT count(*) FROM nodes").await?,
            deployments: self.by_status("deployments", deployments).await?,
            replicas: self.by_status("deployment_replicas", replicas).await?,
            database_bytes: self.count(size).await?,
        })
    }

    async fn count(&self, sql: &'static str) -> Result<u64, StoreError> {
        Ok(self.readers.fetch_one(sql).await?.try_get::<i64, _>(0)?.unsigned_abs())
    }

    async fn by_status<S: FromStr + Ord>(
        &self,
        table: &'static str,
        sql: &'static str,
    ) -> Result<Vec<(S, u64)>, StoreError> {
        let rows = self.readers.fetch_all(sql).await?;
        let mut counts = Vec::with_capacity(rows.len());
        for row in rows {
            let word: String = row.try_get(0)?;
            let status = word.parse().map_err(|_| StoreError::Damaged {
                table,
                row: "in a count over all".to_owned(),
                column: "status",
                detail: format!("{word:?} is no known word"),
            })?;
            counts.push((status, row.try_get::<i64, _>(1)?.unsigned_abs()));
        }
        counts.sort();
        Ok(counts)
    }
}
