//! One moment of a PostgreSQL database: a transaction that reads a snapshot, keeps nobody from writing, and works on a
//! standby as well.

use fogline_core::time::Timestamp;
use sqlx::{PgPool, Postgres, Row as _, Transaction};

use super::super::{PostgresConfig, migrate};
use super::connect;
use super::filling::led_by;
use super::rows::{self, failed};
use crate::transfer::{Cluster, Column, Header, KEYS_SINCE, OLDEST_SCHEMA, Row, Table, TransferError};

const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const LEADER: &str =
    "SELECT cluster_id::text, epoch, revision, (extract(epoch FROM now()) * 1000000)::bigint FROM leader";

/// See the module.
pub(crate) struct PgReading {
    pool: PgPool,
    transaction: Transaction<'static, Postgres>,
    in_use: bool,
}

impl PgReading {
    pub(crate) async fn open(config: &PostgresConfig) -> Result<Self, TransferError> {
        let pool = connect(config).await?;
        let mut transaction = pool.begin_with(SNAPSHOT).await.map_err(failed)?;
        let (schema, _) = migrate::newest(&mut transaction).await?;
        let in_use = schema >= KEYS_SINCE && led_by(&mut transaction).await?.is_some();
        // The moment of the backup is settled when it begins.
        transaction.rollback().await.map_err(failed)?;
        let transaction = pool.begin_with(SNAPSHOT).await.map_err(failed)?;
        Ok(Self { pool, transaction, in_use })
    }

    pub(crate) const fn is_in_use(&self) -> bool {
        self.in_use
    }

    pub(crate) async fn begin(&mut self) -> Result<Header, TransferError> {
        let db = &mut *self.transaction;
        let (schema, _) = migrate::newest(db).await?;
        if schema < OLDEST_SCHEMA {
            return Err(TransferError::NoCluster);
        }
        let Some(row) = sqlx::query(LEADER).fetch_optional(&mut *db).await.map_err(failed)? else {
            return Err(TransferError::NoCluster);
        };
        let number = |at: usize| row.try_get::<i64, _>(at).map_err(failed);
        let keys_fingerprint = if schema < KEYS_SINCE {
            None
        } else {
            let keys = sqlx::query("SELECT fingerprint FROM cluster_keys").fetch_optional(db).await.map_err(failed)?;
            keys.map(|row| row.try_get(0)).transpose().map_err(failed)?
        };
        let cluster = Cluster {
            cluster_id: row.try_get(0).map_err(failed)?,
            epoch: number(1)?.unsigned_abs(),
            revision: number(2)?.unsigned_abs(),
            keys_fingerprint,
        };
        Ok(Header::new(schema, cluster, Timestamp::from_micros(number(3)?), "postgresql"))
    }

    pub(crate) async fn each_row(
        &mut self,
        table: &'static Table,
        columns: &[Column],
        take: impl AsyncFnMut(Row) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        rows::each(&mut self.transaction, table, columns, take).await
    }

    pub(crate) async fn close(self) {
        // What it has read is read; ending it cannot take that back.
        let _ = self.transaction.rollback().await;
        self.pool.close().await;
    }
}
