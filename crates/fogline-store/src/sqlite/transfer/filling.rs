//! A SQLite database that is being filled.
//!
//! It has a directory of its own, in the one where it will be. Invariant: under its final name there is either what was
//! there before or the whole of the new one, also after a crash at any moment.

use std::path::{Path, PathBuf};

use tokio::sync::OwnedMutexGuard;

use super::super::writer::Writer;
use super::super::{SqliteStore, database_clock};
use super::place::Place;
use super::rows;
use crate::error::{CommitError, StoreError};
use crate::transfer::{Cluster, Column, KEYS_SINCE, Row, Table, TransferError};

const LEADER: &str = concat!(
    "INSERT INTO leader (singleton, cluster_id, epoch, holder, revision, renewed_at) VALUES (1, ?1, ?2, 'restored', ?3, ",
    database_clock!(),
    ")"
);

/// See the module.
pub(crate) struct SqliteFilling {
    place: Place,
    store: SqliteStore,
    writer: OwnedMutexGuard<Writer>,
}

impl SqliteFilling {
    pub(crate) async fn begin(file: &Path, schema: i64, replace: bool) -> Result<Self, TransferError> {
        let place = Place::take(file, replace).await?;
        let store = SqliteStore::open(&place.new_file()).await?;
        store.migrate_to(schema).await?;
        let mut writer = store.writer().await;
        writer.begin().await.map_err(StoreError::from)?;
        Ok(Self { place, store, writer })
    }

    pub(crate) async fn write(
        &mut self,
        table: &'static Table,
        columns: &[Column],
        rows: Vec<Row>,
    ) -> Result<(), TransferError> {
        let db = self.writer.connection().map_err(StoreError::from)?;
        Ok(rows::insert(db, table, columns, &rows).await?)
    }

    pub(crate) async fn lead(&mut self, schema: i64, cluster: &Cluster) -> Result<(), TransferError> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let db = self.writer.connection().map_err(StoreError::from)?;
        let leader = sqlx::query(LEADER).bind(cluster.cluster_id.clone()).bind(number(cluster.epoch));
        leader.bind(number(cluster.revision)).execute(&mut *db).await.map_err(StoreError::from)?;
        if let Some(fingerprint) = cluster.keys_fingerprint.clone().filter(|_| schema >= KEYS_SINCE) {
            let pin = "INSERT INTO cluster_keys (singleton, fingerprint) VALUES (1, ?1)";
            sqlx::query(pin).bind(fingerprint).execute(db).await.map_err(StoreError::from)?;
        }
        Ok(())
    }

    pub(crate) async fn each_row(
        &mut self,
        table: &'static Table,
        columns: &[Column],
        take: impl AsyncFnMut(Row) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        rows::each(self.writer.connection().map_err(StoreError::from)?, table, columns, take).await
    }

    pub(crate) async fn commit(mut self) -> Result<Option<PathBuf>, TransferError> {
        let written = match self.writer.commit().await.map_err(not_kept) {
            Ok(()) => self.writer.run("PRAGMA wal_checkpoint(TRUNCATE)").await.map_err(StoreError::from),
            Err(error) => Err(error),
        };
        drop(self.writer);
        let written = match written {
            Ok(()) => self.store.migrate().await,
            Err(error) => Err(error),
        };
        // The last connection takes the log along.
        self.store.close().await;
        written?;
        self.place.put().await
    }

    pub(crate) async fn abandon(self) {
        drop(self.writer);
        self.store.close().await;
    }
}

fn not_kept(error: CommitError) -> StoreError {
    match error {
        CommitError::Full => StoreError::Full,
        CommitError::Io { detail } => StoreError::Io { detail },
        error => StoreError::Database { detail: error.to_string() },
    }
}
