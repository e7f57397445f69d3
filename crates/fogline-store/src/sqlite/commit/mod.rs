//! One batch, one transaction.
//!
//! The order is what foreign keys and unique names ask for: names of removed rows are freed first, changed rows come
//! before new ones (a deployment's name is free once the old one is marked deleted), parents before children, and
//! removals last, so that their cascades find everything. Invariant: the lease is checked by the first statement, so
//! nobody who is not the leader writes a row.

mod audit;
mod bulk;
mod deployments;
mod history;
mod idempotency;
mod nodes;
mod replicas;
mod revisions;
mod sessions;
mod users;
mod values;

use std::hash::Hash;

use fogline_core::cluster::{Changes, Edits};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::failure::Failure;
use super::{SqliteStore, checkpoint, database_clock};
use crate::error::CommitError;
use crate::lease::Lease;

const RENEW: &str = concat!(
    "UPDATE leader SET revision = revision + 1, renewed_at = ",
    database_clock!(),
    " WHERE epoch = ?1 AND holder = ?2 RETURNING revision"
);

/// Why the statements of a batch were not all made.
enum Stop {
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
                checkpoint::after_commit(writer, rows(changes));
                Ok(revision)
            }
            Err(stop) => {
                let error = match stop {
                    Stop::Fenced => CommitError::Fenced,
                    Stop::Failed(failure) => writer.note(failure).into(),
                };
                // An error of the disk is worth more than one of the rollback after it.
                if let (Err(failure), false) = (writer.roll_back().await, matches!(error, CommitError::Io { .. })) {
                    return Err(failure.into());
                }
                Err(error)
            }
        }
    }
}

async fn write(db: &mut SqliteConnection, lease: &Lease, changes: &Changes) -> Result<u64, Stop> {
    let epoch = i64::try_from(lease.epoch).map_err(|_| Stop::Fenced)?;
    let renewed = sqlx::query(RENEW).bind(epoch).bind(lease.holder.clone()).fetch_optional(&mut *db).await?;
    let revision: i64 = renewed.ok_or(Stop::Fenced)?.try_get(0)?;

    users::free_names(db, &changes.users).await?;
    nodes::free_names(db, &changes.nodes).await?;
    deployments::free_names(db, &changes.deployments).await?;

    users::write(db, &changes.users).await?;
    nodes::write(db, &changes.nodes).await?;
    deployments::write(db, &changes.deployments).await?;
    revisions::write(db, &changes.revisions).await?;
    replicas::write(db, &changes.replicas).await?;
    sessions::write(db, &changes.sessions).await?;
    history::write(db, &changes.history).await?;
    audit::write(db, &changes.audit).await?;
    idempotency::write(db, &changes.idempotency).await?;

    sessions::remove(db, &changes.sessions).await?;
    replicas::remove(db, &changes.replicas).await?;
    deployments::remove(db, &changes.deployments).await?;
    nodes::remove(db, &changes.nodes).await?;
    users::remove(db, &changes.users).await?;
    Ok(revision.unsigned_abs())
}

fn rows(changes: &Changes) -> usize {
    changes.users.len()
        + changes.sessions.len()
        + changes.nodes.len()
        + changes.deployments.len() * 2
        + changes.replicas.len()
        + changes.revisions.len()
        + changes.history.len()
        + changes.audit.len()
        + changes.idempotency.len()
}

/// Rows that were not there before the batch.
fn added<K: Copy + Eq + Hash, T>(edits: &Edits<K, T>) -> Vec<&T> {
    edits.iter().filter(|(_, edit)| edit.before.is_none()).filter_map(|(_, edit)| edit.after.as_ref()).collect()
}

/// Rows that were there before the batch and still are.
fn changed<K: Copy + Eq + Hash, T>(edits: &Edits<K, T>) -> Vec<&T> {
    edits.iter().filter(|(_, edit)| edit.before.is_some()).filter_map(|(_, edit)| edit.after.as_ref()).collect()
}

/// Whether a row that goes may hold a name that a new one needs.
fn swaps_rows<K: Copy + Eq + Hash, T>(edits: &Edits<K, T>) -> bool {
    edits.removals().next().is_some() && edits.iter().any(|(_, edit)| edit.before.is_none() && edit.after.is_some())
}
