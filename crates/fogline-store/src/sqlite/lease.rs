//! Becoming the leader. Each commit then checks the lease with its first statement: see `commit`.

use sqlx::Row;

use super::failure::Failure;
use super::{SqliteStore, database_clock, migrate};
use crate::error::{CommitError, StoreError};
use crate::lease::Lease;

/// The first take-over makes the row, and with it the cluster's id, a random UUID (RFC 9562, version 4).
const TAKE_OVER: &str = concat!(
    "INSERT INTO leader (singleton, cluster_id, epoch, holder, revision, renewed_at) VALUES (1, lower(",
    "hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || ",
    "substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))",
    "), 1, ?1, 1, ",
    database_clock!(),
    ") ON CONFLICT (singleton) DO UPDATE SET epoch = epoch + 1, holder = excluded.holder, revision = revision + 1, ",
    "renewed_at = excluded.renewed_at RETURNING cluster_id, epoch, revision"
);

impl SqliteStore {
    pub(crate) async fn take_over(&self, holder: &str) -> Result<Lease, StoreError> {
        let mut writer = self.writer().await;
        migrate::check_complete(writer.connection()?).await?;
        writer.begin().await?;
        let row = match sqlx::query(TAKE_OVER).bind(holder).fetch_one(writer.connection()?).await {
            Ok(row) => row,
            Err(error) => {
                let failure = writer.note(error.into());
                writer.roll_back().await?;
                return Err(failure.into());
            }
        };
        writer.commit().await.map_err(not_taken)?;
        Ok(Lease {
            cluster_id: row.try_get(0)?,
            epoch: row.try_get::<i64, _>(1)?.unsigned_abs(),
            holder: holder.to_owned(),
            revision: row.try_get::<i64, _>(2)?.unsigned_abs(),
        })
    }
}

fn not_taken(error: CommitError) -> StoreError {
    match error {
        CommitError::Full => Failure::Full.into(),
        CommitError::Io { detail } => Failure::Io(detail).into(),
        error => Failure::Other(error.to_string()).into(),
    }
}
