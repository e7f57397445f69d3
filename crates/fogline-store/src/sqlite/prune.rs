//! Letting go of what is kept only for a while. Never of what anybody still decides by: ended replicas never change
//! again, sessions and keys are past their time, a decision that held the count has decided nothing, and a policy says what its
//! latest version says.

use fogline_core::time::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Executor, Row};

use super::SqliteStore;
use super::commit::{self, Stop};
use super::failure::Failure;
use crate::counts::Pruned;
use crate::error::CommitError;
use crate::keep::{KEPT_REPLICAS, KEPT_VERSIONS, STEP_ROWS, oldest_hold, oldest_key};
use crate::lease::Lease;

const CROWDED: &str = "SELECT deployment_id FROM deployment_replicas WHERE status IN ('stopped', 'failed') \
    GROUP BY deployment_id HAVING count(*) > 50";
const OFTEN_CHANGED: &str = "SELECT policy_id FROM scaling_policy_versions GROUP BY policy_id HAVING count(*) > 100";
const REPLICAS: &str = "DELETE FROM deployment_replicas WHERE id IN (SELECT id FROM deployment_replicas \
    WHERE deployment_id = ?1 AND status IN ('stopped', 'failed') \
    ORDER BY coalesce(stopped_at, updated_at) DESC, id DESC LIMIT ?2 OFFSET ?3)";
const KEYS: &str = "DELETE FROM idempotency_keys WHERE rowid IN \
    (SELECT rowid FROM idempotency_keys WHERE created_at < ?1 LIMIT ?2)";
const SESSIONS: &str =
    "DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions WHERE expires_at <= ?1 LIMIT ?2)";
const HOLDS: &str = "DELETE FROM scaling_decisions WHERE rowid IN (SELECT rowid FROM scaling_decisions \
    WHERE action = 'hold' AND at < ?1 AND status <> 'pending' LIMIT ?2)";

const VERSIONS: &str = "DELETE FROM scaling_policy_versions WHERE rowid IN (SELECT rowid FROM scaling_policy_versions \
    WHERE policy_id = ?1 ORDER BY version DESC LIMIT ?2 OFFSET ?3)";

type Query = sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

impl SqliteStore {
    pub(crate) async fn prune(&self, lease: &Lease, now: Timestamp) -> Result<Pruned, CommitError> {
        let mut pruned = Pruned::default();
        for row in self.readers.fetch_all(CROWDED).await.map_err(Failure::from)? {
            let deployment: String = row.try_get(0).map_err(Failure::from)?;
            let delete = || sqlx::query(REPLICAS).bind(deployment.clone()).bind(STEP_ROWS).bind(KEPT_REPLICAS);
            pruned.replicas += self.in_steps(lease, delete).await?;
        }
        let oldest_key = oldest_key(now).as_micros();
        pruned.idempotency_keys = self.in_steps(lease, || sqlx::query(KEYS).bind(oldest_key).bind(STEP_ROWS)).await?;
        pruned.sessions = self.in_steps(lease, || sqlx::query(SESSIONS).bind(now.as_micros()).bind(STEP_ROWS)).await?;
        let oldest_hold = oldest_hold(now).as_micros();
        pruned.decisions = self.in_steps(lease, || sqlx::query(HOLDS).bind(oldest_hold).bind(STEP_ROWS)).await?;
        for row in self.readers.fetch_all(OFTEN_CHANGED).await.map_err(Failure::from)? {
            let policy: String = row.try_get(0).map_err(Failure::from)?;
            let delete = || sqlx::query(VERSIONS).bind(policy.clone()).bind(STEP_ROWS).bind(KEPT_VERSIONS);
            pruned.policy_versions += self.in_steps(lease, delete).await?;
        }
        Ok(pruned)
    }

    /// Runs a bounded delete until it finds no more.
    async fn in_steps(&self, lease: &Lease, delete: impl Fn() -> Query) -> Result<u64, CommitError> {
        let mut total = 0;
        loop {
            let deleted = self.step(lease, delete()).await?;
            total += deleted;
            if deleted < STEP_ROWS.unsigned_abs() {
                return Ok(total);
            }
        }
    }

    async fn step(&self, lease: &Lease, delete: Query) -> Result<u64, CommitError> {
        let mut writer = self.writer().await;
        writer.begin().await?;
        match fenced(writer.connection()?, lease, delete).await {
            Ok(deleted) => {
                writer.commit().await?;
                let rows = usize::try_from(deleted).unwrap_or(usize::MAX);
                self.after_commit(writer, rows);
                Ok(deleted)
            }
            Err(stop) => Err(writer.stopped(stop).await),
        }
    }
}

async fn fenced(db: &mut SqliteConnection, lease: &Lease, delete: Query) -> Result<u64, Stop> {
    commit::check(db, lease).await?;
    Ok(delete.execute(db).await?.rows_affected())
}
