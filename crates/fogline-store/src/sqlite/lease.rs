//! Becoming the leader. Each commit then checks the lease with its first statement: see `commit`.
//!
//! The lock of the directory is the right, so a take-over always wins; the epoch and the holder fence what an earlier
//! leader of the same process may still have under way.

use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::failure::Failure;
use super::{SqliteStore, database_clock, migrate};
use crate::error::{CommitError, StoreError};
use crate::lease::{Candidate, Incumbent, KeysPinned, Lease};

/// The first take-over makes the row, and with it the cluster's id, a random UUID (RFC 9562, version 4). The epoch is
/// higher than any that was handed out or heard of: agents may have obeyed one that a backup does not know.
const TAKE_OVER: &str = concat!(
    "INSERT INTO leader (singleton, cluster_id, epoch, holder, revision, renewed_at, http_address, agent_address) ",
    "VALUES (1, lower(",
    "hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || ",
    "substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))",
    "), ?2 + 1, ?1, 1, ",
    database_clock!(),
    ", ?3, ?4) ON CONFLICT (singleton) DO UPDATE SET epoch = max(epoch, ?2) + 1, holder = excluded.holder, ",
    "revision = revision + 1, renewed_at = excluded.renewed_at, http_address = excluded.http_address, ",
    "agent_address = excluded.agent_address, lease_ms = 0 RETURNING cluster_id, epoch, revision"
);

const INCUMBENT: &str = "SELECT epoch, holder, http_address, agent_address, revision FROM leader";

/// The row is read back, whoever wrote it.
const PIN_KEYS: &str = "INSERT INTO cluster_keys (singleton, fingerprint) VALUES (1, ?1) \
    ON CONFLICT (singleton) DO UPDATE SET fingerprint = fingerprint RETURNING fingerprint";

impl SqliteStore {
    pub(crate) async fn take_over(&self, candidate: &Candidate) -> Result<Lease, StoreError> {
        let known = i64::try_from(candidate.known_epoch).unwrap_or(i64::MAX - 1).min(i64::MAX - 1);
        let query = sqlx::query(TAKE_OVER)
            .bind(candidate.holder.clone())
            .bind(known)
            .bind(candidate.http_address.clone())
            .bind(candidate.agent_address.clone());
        let row = self.alone(query).await?;
        Ok(Lease {
            cluster_id: row.try_get(0)?,
            epoch: row.try_get::<i64, _>(1)?.unsigned_abs(),
            holder: candidate.holder.clone(),
            revision: row.try_get::<i64, _>(2)?.unsigned_abs(),
            lasts: None,
        })
    }

    pub(crate) async fn incumbent(&self) -> Result<Option<Incumbent>, StoreError> {
        let mut reader = self.readers.acquire().await?;
        migrate::check_complete(&mut reader).await?;
        let Some(row) = sqlx::query(INCUMBENT).fetch_optional(&mut *reader).await? else { return Ok(None) };
        Ok(Some(Incumbent {
            epoch: row.try_get::<i64, _>(0)?.unsigned_abs(),
            holder: row.try_get(1)?,
            http_address: row.try_get(2)?,
            agent_address: row.try_get(3)?,
            revision: row.try_get::<i64, _>(4)?.unsigned_abs(),
            expires_in: Duration::ZERO,
        }))
    }

    pub(crate) async fn pin_keys(&self, fingerprint: &str) -> Result<KeysPinned, StoreError> {
        let pinned: String = self.alone(sqlx::query(PIN_KEYS).bind(fingerprint.to_owned())).await?.try_get(0)?;
        Ok(if pinned == fingerprint { KeysPinned::Same } else { KeysPinned::Other })
    }

    /// Runs one statement in a transaction of its own, and answers with its row once that is on the disk.
    async fn alone(&self, query: Query) -> Result<SqliteRow, StoreError> {
        let mut writer = self.writer().await;
        migrate::check_complete(writer.connection()?).await?;
        writer.begin().await?;
        match query.fetch_one(writer.connection()?).await {
            Ok(row) => {
                writer.commit().await.map_err(not_done)?;
                Ok(row)
            }
            Err(error) => {
                let failure = writer.note(error.into());
                writer.roll_back().await?;
                Err(failure.into())
            }
        }
    }
}

type Query = sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn not_done(error: CommitError) -> StoreError {
    match error {
        CommitError::Full => Failure::Full.into(),
        CommitError::Io { detail } => Failure::Io(detail).into(),
        error => Failure::Other(error.to_string()).into(),
    }
}
