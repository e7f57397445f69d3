//! A PostgreSQL database that is being filled: tables are dropped, made and filled in one transaction.

use std::collections::BTreeMap;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Row as _, Transaction};

use super::super::lease::SET_TIMELINE;
use super::super::{PostgresConfig, migrate};
use super::connect;
use super::rows::{self, failed};
use crate::transfer::{Cluster, Column, KEYS_SINCE, OLDEST_SCHEMA, Row, TABLES, Table, TransferError};

/// For what others have locked.
const PATIENCE: &str = "SET LOCAL lock_timeout = '10s'";
/// PostgreSQL's `lock_not_available`: that was not long enough.
const LOCKED: &str = "55P03";
/// One restore at a time into a database. Any number that nothing else locks.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7236833301445013505)";
const LED_BY: &str =
    "SELECT holder, http_address FROM leader WHERE renewed_at + lease_ms * interval '1 millisecond' > now()";
const LEADER: &str = "INSERT INTO leader (singleton, cluster_id, epoch, holder, revision, renewed_at) \
    VALUES (1, $1::uuid, $2, 'restored', $3, now())";

/// See the module.
pub(crate) struct PgFilling {
    pool: PgPool,
    transaction: Transaction<'static, Postgres>,
    /// The types of the columns of the table that was written last.
    types: (&'static str, BTreeMap<String, String>),
}

impl PgFilling {
    pub(crate) async fn begin(config: &PostgresConfig, schema: i64, replace: bool) -> Result<Self, TransferError> {
        let pool = connect(config).await?;
        let mut transaction = pool.begin().await.map_err(failed)?;
        prepare(&mut transaction, config, schema, replace).await?;
        Ok(Self { pool, transaction, types: ("", BTreeMap::new()) })
    }

    pub(crate) async fn write(
        &mut self,
        table: &'static Table,
        columns: &[Column],
        rows: Vec<Row>,
    ) -> Result<(), TransferError> {
        if self.types.0 != table.name {
            self.types = (table.name, rows::types(&mut self.transaction, table).await?);
        }
        rows::insert(&mut self.transaction, table, columns, &self.types.1, rows).await
    }

    pub(crate) async fn lead(&mut self, schema: i64, cluster: &Cluster) -> Result<(), TransferError> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let leader = sqlx::query(LEADER).bind(cluster.cluster_id.clone()).bind(number(cluster.epoch));
        leader.bind(number(cluster.revision)).execute(&mut *self.transaction).await.map_err(failed)?;
        if let Some(fingerprint) = cluster.keys_fingerprint.clone().filter(|_| schema >= KEYS_SINCE) {
            let pin = sqlx::query("INSERT INTO cluster_keys (singleton, fingerprint) VALUES (1, $1)").bind(fingerprint);
            pin.execute(&mut *self.transaction).await.map_err(failed)?;
        }
        Ok(())
    }

    pub(crate) async fn each_row(
        &mut self,
        table: &'static Table,
        columns: &[Column],
        take: impl AsyncFnMut(Row) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        rows::each(&mut self.transaction, table, columns, take).await
    }

    pub(crate) async fn commit(mut self) -> Result<(), TransferError> {
        migrate::up(&mut self.transaction, None).await?;
        // Without it, a copy that is promoted before the first take-over would count as the server that was restored.
        sqlx::query(SET_TIMELINE).execute(&mut *self.transaction).await.map_err(failed)?;
        self.transaction.commit().await.map_err(failed)?;
        self.pool.close().await;
        Ok(())
    }

    pub(crate) async fn abandon(self) {
        // Where it cannot even be rolled back, the server does so when the connection is gone.
        let _ = self.transaction.rollback().await;
        self.pool.close().await;
    }
}

/// Sees to it that nobody works here and nothing is lost, and makes the tables anew.
async fn prepare(
    db: &mut PgConnection,
    config: &PostgresConfig,
    schema: i64,
    replace: bool,
) -> Result<(), TransferError> {
    sqlx::query(PATIENCE).execute(&mut *db).await.map_err(failed)?;
    sqlx::query(LOCK).execute(&mut *db).await.map_err(|error| locked(config, error))?;
    let (found, _) = migrate::newest(db).await?;
    if found >= KEYS_SINCE
        && let Some(detail) = led_by(db).await?
    {
        return Err(TransferError::InUse { database: config.place(), detail });
    }
    let tables = TABLES.iter().filter(|table| table.is_in(found)).map(|table| table.name);
    let tables: Vec<&str> = tables.chain(leader(found)).collect();
    // Where somebody works with them, this is what waits, and not their dropping.
    if !tables.is_empty() {
        let lock = sqlx::query(AssertSqlSafe(format!("LOCK TABLE {}", tables.join(", "))));
        lock.execute(&mut *db).await.map_err(|error| locked(config, error))?;
    }
    let mut filled = Vec::new();
    for table in tables {
        let any = sqlx::query(AssertSqlSafe(format!("SELECT 1 FROM {table} LIMIT 1")));
        if any.fetch_optional(&mut *db).await.map_err(failed)?.is_some() {
            filled.push(table);
        }
    }
    if !replace && !filled.is_empty() {
        let detail = format!("there are rows in {}", filled.join(", "));
        return Err(TransferError::NotEmpty { database: config.place(), detail });
    }
    migrate::down(db).await?;
    Ok(migrate::up(db, Some(schema)).await?)
}

/// What it means that a lock was not given.
fn locked(config: &PostgresConfig, error: sqlx::Error) -> TransferError {
    match error.as_database_error().and_then(|error| error.code()) {
        Some(code) if code == LOCKED => {
            let detail = "somebody has kept what is to be replaced locked for 10 s".to_owned();
            TransferError::InUse { database: config.place(), detail }
        }
        _ => failed(error),
    }
}

fn leader(schema: i64) -> Option<&'static str> {
    (schema >= OLDEST_SCHEMA).then_some("leader")
}

/// Who leads on this database, when somebody's lease is not over.
pub(super) async fn led_by(db: &mut PgConnection) -> Result<Option<String>, TransferError> {
    let row = sqlx::query(LED_BY).fetch_optional(db).await.map_err(failed)?;
    let Some(row) = row else { return Ok(None) };
    let (holder, address): (String, String) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    Ok(Some(if address.is_empty() { format!("holder {holder}") } else { format!("at {address}") }))
}
