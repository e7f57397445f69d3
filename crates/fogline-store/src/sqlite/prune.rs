//! Letting go of what is kept only for a while. Never of what anybody still decides by: ended replicas never change
//! again, and sessions and keys are past their time.

use std::time::Duration;

use fogline_core::time::Timestamp;
use sqlx::{Executor, Row};

use super::SqliteStore;
use super::failure::Failure;
use crate::counts::Pruned;
use crate::error::{CommitError, StoreError};

/// Ended replicas that each deployment keeps.
const KEPT_REPLICAS: i64 = 50;
const KEY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows a transaction, so that a commit waits a few milliseconds at most.
const STEP_ROWS: i64 = 500;

const CROWDED: &str = "SELECT deployment_id FROM deployment_replicas WHERE status IN ('stopped', 'failed') \
    GROUP BY deployment_id HAVING count(*) > 50";
const REPLICAS: &str = "DELETE FROM deployment_replicas WHERE id IN (SELECT id FROM deployment_replicas \
    WHERE deployment_id = ?1 AND status IN ('stopped', 'failed') \
    ORDER BY coalesce(stopped_at, updated_at) DESC, id DESC LIMIT ?2 OFFSET ?3)";
const KEYS: &str = "DELETE FROM idempotency_keys WHERE rowid IN \
    (SELECT rowid FROM idempotency_keys WHERE created_at < ?1 LIMIT ?2)";
const SESSIONS: &str =
    "DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions WHERE expires_at <= ?1 LIMIT ?2)";

type Query = sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

impl SqliteStore {
    pub(crate) async fn prune(&self, now: Timestamp) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        for row in self.readers.fetch_all(CROWDED).await? {
            let deployment: String = row.try_get(0)?;
            let delete = || sqlx::query(REPLICAS).bind(deployment.clone()).bind(STEP_ROWS).bind(KEPT_REPLICAS);
            pruned.replicas += self.in_steps(delete).await?;
        }
        let lifetime = i64::try_from(KEY_LIFETIME.as_micros()).unwrap_or(i64::MAX);
        let oldest_key = now.as_micros().saturating_sub(lifetime);
        pruned.idempotency_keys = self.in_steps(|| sqlx::query(KEYS).bind(oldest_key).bind(STEP_ROWS)).await?;
        pruned.sessions = self.in_steps(|| sqlx::query(SESSIONS).bind(now.as_micros()).bind(STEP_ROWS)).await?;
        Ok(pruned)
    }

    /// Runs a bounded delete until it finds no more.
    async fn in_steps(&self, delete: impl Fn() -> Query) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let deleted = self.step(delete()).await?;
            total += deleted;
            if deleted < STEP_ROWS.unsigned_abs() {
                return Ok(total);
            }
        }
    }

    async fn step(&self, delete: Query) -> Result<u64, StoreError> {
        let mut writer = self.writer().await;
        writer.begin().await?;
        match delete.execute(writer.connection()?).await {
            Ok(done) => {
                writer.commit().await.map_err(|error| match error {
                    CommitError::Full => Failure::Full,
                    CommitError::Io { detail } => Failure::Io(detail),
                    error => Failure::Other(error.to_string()),
                })?;
                let rows = usize::try_from(done.rows_affected()).unwrap_or(usize::MAX);
                super::checkpoint::after_commit(writer, rows);
                Ok(done.rows_affected())
            }
            Err(error) => {
                let failure = writer.note(error.into());
                writer.roll_back().await?;
                Err(failure.into())
            }
        }
    }
}
