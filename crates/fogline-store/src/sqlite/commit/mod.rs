//! One batch, one transaction.
//!
//! The order is what foreign keys and unique names ask for: names of removed rows, and of policies that change theirs,
//! are freed first, changed rows come before new ones (a deployment's name is free once the old one is marked deleted),
//! parents before children, and removals last, so that their cascades find everything. Invariant: the lease is checked by
//! the first statement, so nobody who is not the leader writes a row.

mod bulk;
mod parameters;
mod rows;

use fogline_core::cluster::Changes;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::failure::Failure;
use super::writer::Writer;
use super::{SqliteStore, database_clock};
use crate::error::CommitError;
use crate::lease::Lease;

const RENEW: &str = concat!(
    "UPDATE leader SET revision = revision + 1, renewed_at = ",
    database_clock!(),
    " WHERE epoch = ?1 AND holder = ?2 RETURNING revision"
);

const CHECK: &str = "SELECT revision FROM leader WHERE epoch = ?1 AND holder = ?2";

/// Why the statements of a batch were not all made.
pub(super) enum Stop {
    Fenced,
    Failed(Failure),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl SqliteStore {
    pub(crate) async fn commit(&self, lease: &Lease, changes: &Changes) -> Result<u64, CommitError> {
        let mut writer = self.writer().await;
        writer.begin().await?;
        match write(writer.connection()?, lease, changes).await {
            Ok(revision) => {
                writer.commit().await?;
                self.after_commit(writer, count(changes));
                Ok(revision)
            }
            Err(stop) => Err(writer.stopped(stop).await),
        }
    }
}

impl Writer {
    /// Takes the transaction back, and says what the caller must know.
    pub(super) async fn stopped(&mut self, stop: Stop) -> CommitError {
        let error = match stop {
            Stop::Fenced => CommitError::Fenced,
            Stop::Failed(failure) => self.note(failure).into(),
        };
        // An error of the disk is worth more than one of the rollback after it.
        match self.roll_back().await {
            Err(failure) if !matches!(error, CommitError::Io { .. }) => failure.into(),
            _ => error,
        }
    }
}

/// Whether the lease is still worth something, within the transaction that needs it. Unlike a commit this is no
/// revision, and it renews nothing.
pub(super) async fn check(db: &mut SqliteConnection, lease: &Lease) -> Result<(), Stop> {
    shown(db, CHECK, lease).await.map(|_| ())
}

/// Runs a statement that finds the leader's row only for the one who leads. Gives its revision.
async fn shown(db: &mut SqliteConnection, sql: &'static str, lease: &Lease) -> Result<i64, Stop> {
    let epoch = i64::try_from(lease.epoch).map_err(|_| Stop::Fenced)?;
    let row = sqlx::query(sql).bind(epoch).bind(lease.holder.clone()).fetch_optional(db).await?;
    Ok(row.ok_or(Stop::Fenced)?.try_get(0)?)
}

async fn write(db: &mut SqliteConnection, lease: &Lease, changes: &Changes) -> Result<u64, Stop> {
    let revision = shown(db, RENEW, lease).await?;

    rows::free_names(db, changes).await?;

    rows::write(db, &changes.users).await?;
    rows::write(db, &changes.nodes).await?;
    rows::write_deployments(db, changes).await?;
    rows::write_revisions(db, changes).await?;
    rows::write_replicas(db, changes).await?;
    rows::write(db, &changes.policies).await?;
    bulk::insert(db, &changes.policy_versions).await?;
    rows::write(db, &changes.scaling_states).await?;
    rows::write(db, &changes.decisions).await?;
    rows::write_sessions(db, changes).await?;
    bulk::insert(db, &changes.history).await?;
    bulk::insert(db, &changes.audit).await?;
    bulk::insert(db, &changes.idempotency).await?;

    rows::remove(db, changes).await?;
    Ok(revision.unsigned_abs())
}

fn count(changes: &Changes) -> usize {
    changes.users.len()
        + changes.sessions.len()
        + changes.nodes.len()
        + changes.deployments.len() * 2
        + changes.replicas.len()
        + changes.revisions.len()
        + changes.image_digests.len()
        + changes.policies.len()
        + changes.policy_versions.len()
        + changes.scaling_states.len()
        // A document of some kilobytes each.
        + changes.decisions.len() * 4
        + changes.history.len()
        + changes.audit.len()
        + changes.idempotency.len()
}
