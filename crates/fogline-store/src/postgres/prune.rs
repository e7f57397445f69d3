//! Letting go of what is kept only for a while. Never of what anybody still decides by: ended replicas never change
//! again, sessions and keys are past their time, a decision that held the count has decided nothing, and a policy says what its
//! latest version says.

use fogline_core::time::Timestamp;
use sqlx::types::Uuid;
use sqlx::{Executor, Row};

use super::failure::{Failure, of_read};
use super::pool::READ_DEADLINE;
use super::time::Moment;
use super::writer::{Query, Right};
use super::{PostgresStore, within};
use crate::counts::Pruned;
use crate::error::{CommitError, StoreError};
use crate::keep::{KEPT_REPLICAS, KEPT_VERSIONS, STEP_ROWS, oldest_hold, oldest_key};
use crate::lease::Lease;

const CROWDED: &str = "SELECT deployment_id FROM deployment_replicas WHERE status IN ('stopped', 'failed') \
    GROUP BY deployment_id HAVING count(*) > 50";
const OFTEN_CHANGED: &str = "SELECT policy_id FROM scaling_policy_versions GROUP BY policy_id HAVING count(*) > 100";

/// A bounded delete that shows the lease, in one statement. Gives how many leaders there were, and how many rows.
macro_rules! fenced {
    ($delete:literal) => {
        concat!(
            "WITH leads AS (SELECT 1 FROM leader WHERE epoch = $1 AND holder = $2 AND lease_ms > 0 FOR SHARE), gone AS (",
            $delete,
            " AND EXISTS (SELECT 1 FROM leads) RETURNING 1) ",
            "SELECT (SELECT count(*) FROM leads), (SELECT count(*) FROM gone)"
        )
    };
}

const REPLICAS: &str = fenced!(
    "DELETE FROM deployment_replicas WHERE id IN (SELECT id FROM deployment_replicas \
        WHERE deployment_id = $3 AND status IN ('stopped', 'failed') \
        ORDER BY coalesce(stopped_at, updated_at) DESC, id DESC LIMIT $4 OFFSET $5)"
);
const KEYS: &str = fenced!(
    "DELETE FROM idempotency_keys WHERE (user_id, key) IN \
        (SELECT user_id, key FROM idempotency_keys WHERE created_at < $3 LIMIT $4)"
);
const SESSIONS: &str =
    fenced!("DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= $3 LIMIT $4)");
const HOLDS: &str = fenced!(
    "DELETE FROM scaling_decisions WHERE id IN (SELECT id FROM scaling_decisions \
        WHERE action = 'hold' AND at < $3 AND status <> 'pending' LIMIT $4)"
);
const VERSIONS: &str = fenced!(
    "DELETE FROM scaling_policy_versions WHERE (policy_id, version) IN \
        (SELECT policy_id, version FROM scaling_policy_versions WHERE policy_id = $3 \
        ORDER BY version DESC LIMIT $4 OFFSET $5)"
);

impl PostgresStore {
    pub(crate) async fn prune(&self, lease: &Lease, now: Timestamp) -> Result<Pruned, CommitError> {
        let right = &Right::of(lease).ok_or(CommitError::Fenced)?;
        let mut pruned = Pruned::default();
        for deployment in self.crowded(CROWDED).await? {
            let delete = |query: Query<'static>| query.bind(deployment).bind(STEP_ROWS).bind(KEPT_REPLICAS);
            pruned.replicas += self.in_steps(right, REPLICAS, delete).await?;
        }
        let keys = |query: Query<'static>| query.bind(Moment(oldest_key(now))).bind(STEP_ROWS);
        pruned.idempotency_keys = self.in_steps(right, KEYS, keys).await?;
        let sessions = |query: Query<'static>| query.bind(Moment(now)).bind(STEP_ROWS);
        pruned.sessions = self.in_steps(right, SESSIONS, sessions).await?;
        let holds = |query: Query<'static>| query.bind(Moment(oldest_hold(now))).bind(STEP_ROWS);
        pruned.decisions = self.in_steps(right, HOLDS, holds).await?;
        for policy in self.crowded(OFTEN_CHANGED).await? {
            let delete = |query: Query<'static>| query.bind(policy).bind(STEP_ROWS).bind(KEPT_VERSIONS);
            pruned.policy_versions += self.in_steps(right, VERSIONS, delete).await?;
        }
        Ok(pruned)
    }

    /// Deployments with more ended replicas than are kept, or policies with more versions.
    async fn crowded(&self, sql: &'static str) -> Result<Vec<Uuid>, CommitError> {
        let mut lent = self.reader().await.map_err(unread)?;
        let rows = within(READ_DEADLINE, async { lent.connection().fetch_all(sql).await.map_err(of_read) }).await;
        let rows = lent.give_back(rows).map_err(unread)?;
        let ids: Result<_, sqlx::Error> = rows.iter().map(|row| row.try_get(0)).collect();
        ids.map_err(|error| Failure::after(&error).into())
    }

    /// Runs a bounded delete until it finds no more.
    async fn in_steps(
        &self,
        right: &Right,
        sql: &'static str,
        delete: impl Fn(Query<'static>) -> Query<'static>,
    ) -> Result<u64, CommitError> {
        let mut total = 0;
        loop {
            let query = delete(sqlx::query(sql).bind(right.epoch).bind(right.holder.clone()));
            let row = self.writer.lock().await.run(query).await?.ok_or(CommitError::Fenced)?;
            let count = |at: usize| row.try_get::<i64, _>(at).map_err(|error| Failure::after(&error));
            if count(0)? == 0 {
                return Err(CommitError::Fenced);
            }
            let deleted = count(1)?;
            total += deleted.unsigned_abs();
            if deleted < STEP_ROWS {
                return Ok(total);
            }
        }
    }
}

/// Of a read before the first delete: nothing was written.
fn unread(error: StoreError) -> CommitError {
    CommitError::Unavailable { detail: error.to_string() }
}
