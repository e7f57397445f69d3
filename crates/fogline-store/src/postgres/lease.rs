//! Becoming the leader, and ceasing to be. Each commit then checks the lease with its first statement: see
//! `commit_batch` in the migrations.
//!
//! All by the database's clock, so that the servers' need not agree. A copy that is promoted begins a new timeline of the
//! write-ahead log, and the take-over that finds one adds what it is higher by to the upper half of the epoch: so it never
//! hands out an epoch that the old primary has handed out unseen, and an old primary that comes back has only epochs that
//! agents no longer obey. It is the difference that counts, since a restored database may begin with any epoch.

use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Uuid;

use super::failure::of_read;
use super::pool::{READ_DEADLINE, within};
use super::writer::Right;
use super::{PostgresStore, migrate};
use crate::error::StoreError;
use crate::lease::{Candidate, Incumbent, KeysPinned, Lease, TakeOver};

/// The timeline of the write-ahead log.
macro_rules! timeline {
    () => {
        "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint"
    };
}

/// For a row that no take-over has made: one that a copy may be promoted over before the first.
pub(super) const SET_TIMELINE: &str = concat!("UPDATE leader SET timeline = ", timeline!());

/// The first take-over makes the row, and with it the cluster's id. The clock is read after the row is locked, so of two
/// at once one finds the other's lease.
const TAKE_OVER: &str = concat!(
    "WITH log AS (SELECT ",
    timeline!(),
    " AS timeline) \
    INSERT INTO leader (singleton, cluster_id, epoch, holder, revision, renewed_at, http_address, agent_address, lease_ms, \
        timeline) \
    SELECT 1, gen_random_uuid(), $5 + 1, $1, 1, clock_timestamp(), $2, $3, $4, log.timeline FROM log \
    ON CONFLICT (singleton) DO UPDATE SET epoch = greatest(excluded.epoch, CASE \
            WHEN excluded.timeline > leader.timeline \
            THEN (((leader.epoch >> 32) + excluded.timeline - leader.timeline) << 32) + 1 \
            ELSE leader.epoch + 1 END), \
        holder = excluded.holder, revision = leader.revision + 1, renewed_at = clock_timestamp(), \
        http_address = excluded.http_address, agent_address = excluded.agent_address, lease_ms = excluded.lease_ms, \
        timeline = excluded.timeline \
    WHERE leader.renewed_at + leader.lease_ms * interval '1 millisecond' <= clock_timestamp() \
    RETURNING cluster_id, epoch, revision"
);

const INCUMBENT: &str = "SELECT epoch, holder, http_address, agent_address, revision, greatest(0, (extract(epoch FROM \
    renewed_at + lease_ms * interval '1 millisecond' - clock_timestamp()) * 1000000)::bigint) FROM leader";

const RELEASE: &str = "UPDATE leader SET lease_ms = 0 WHERE epoch = $1 AND holder = $2";

/// The row is read back, whoever wrote it.
const PIN_KEYS: &str = "INSERT INTO cluster_keys (singleton, fingerprint) VALUES (1, $1) \
    ON CONFLICT (singleton) DO UPDATE SET fingerprint = cluster_keys.fingerprint RETURNING fingerprint";

impl PostgresStore {
    pub(crate) async fn take_over(&self, candidate: &Candidate) -> Result<TakeOver, StoreError> {
        let lease_ms = i64::try_from(candidate.lease.as_millis()).unwrap_or(i64::MAX).clamp(1, MOST_LEASE_MS);
        let query = sqlx::query(TAKE_OVER)
            .bind(candidate.holder.clone())
            .bind(candidate.http_address.clone())
            .bind(candidate.agent_address.clone())
            .bind(lease_ms)
            .bind(i64::try_from(candidate.known_epoch).unwrap_or(i64::MAX - 1).min(i64::MAX - 1));
        let mut writer = self.writer.lock().await;
        writer.check().await?;
        let Some(row) = writer.run(query).await? else {
            drop(writer);
            let gone = || StoreError::Database { detail: "the leader's row went away".to_owned() };
            return self.incumbent().await?.map(TakeOver::Held).ok_or_else(gone);
        };
        let lease = lease(&row, candidate, lease_ms).map_err(of_read)?;
        if let Some(right) = Right::of(&lease) {
            writer.begin(right, i64::try_from(lease.revision).unwrap_or(i64::MAX));
        }
        Ok(TakeOver::Won(lease))
    }

    pub(crate) async fn incumbent(&self) -> Result<Option<Incumbent>, StoreError> {
        let mut lent = self.reader().await?;
        let found = within(READ_DEADLINE, async {
            let connection = lent.connection();
            migrate::check_complete(connection).await?;
            let row = sqlx::query(INCUMBENT).fetch_optional(connection).await.map_err(of_read)?;
            row.map(|row| incumbent(&row)).transpose().map_err(of_read)
        });
        let found = found.await;
        lent.give_back(found)
    }

    pub(crate) async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let Some(right) = Right::of(lease) else { return Ok(()) };
        self.writer.lock().await.run(sqlx::query(RELEASE).bind(right.epoch).bind(right.holder)).await?;
        Ok(())
    }

    pub(crate) async fn pin_keys(&self, fingerprint: &str) -> Result<KeysPinned, StoreError> {
        let mut writer = self.writer.lock().await;
        writer.check().await?;
        let row = writer.run(sqlx::query(PIN_KEYS).bind(fingerprint.to_owned())).await?;
        let pinned: Option<String> = row.map(|row| row.try_get(0)).transpose().map_err(of_read)?;
        Ok(if pinned.as_deref() == Some(fingerprint) { KeysPinned::Same } else { KeysPinned::Other })
    }
}

/// A hundred years: what is added to a moment stays one.
const MOST_LEASE_MS: i64 = 100 * 366 * 24 * 60 * 60 * 1_000;

fn lease(row: &PgRow, candidate: &Candidate, lease_ms: i64) -> Result<Lease, sqlx::Error> {
    Ok(Lease {
        cluster_id: row.try_get::<Uuid, _>(0)?.to_string(),
        epoch: row.try_get::<i64, _>(1)?.unsigned_abs(),
        holder: candidate.holder.clone(),
        revision: row.try_get::<i64, _>(2)?.unsigned_abs(),
        lasts: Some(Duration::from_millis(lease_ms.unsigned_abs())),
    })
}

fn incumbent(row: &PgRow) -> Result<Incumbent, sqlx::Error> {
    Ok(Incumbent {
        epoch: row.try_get::<i64, _>(0)?.unsigned_abs(),
        holder: row.try_get(1)?,
        http_address: row.try_get(2)?,
        agent_address: row.try_get(3)?,
        revision: row.try_get::<i64, _>(4)?.unsigned_abs(),
        expires_in: Duration::from_micros(row.try_get::<i64, _>(5)?.unsigned_abs()),
    })
}
