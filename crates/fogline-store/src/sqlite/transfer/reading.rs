//! One moment of a SQLite file.
//!
//! While a server has the directory's lock, a second process may read the file: a read transaction sees one commit, and
//! commits go on beside it. Without a server the lock is taken, so that none starts in the middle, and the log is looked
//! at as a server would: a damaged one must not end up as a backup that lacks commits.

use std::path::Path;

use fogline_core::time::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Connection, Executor, Row as _};

use super::super::open::{reader_options, refused};
use super::super::{SqliteStore, database_clock, migrate};
use super::rows;
use crate::error::{OpenError, StoreError};
use crate::transfer::{Cluster, Column, Header, KEYS_SINCE, OLDEST_SCHEMA, Row, Table, TransferError};

const LEADER: &str = concat!("SELECT cluster_id, epoch, revision, ", database_clock!(), " FROM leader");

/// See the module.
pub(crate) struct SqliteReading {
    connection: SqliteConnection,
    /// Holds the lock, unless somebody else does.
    store: Option<SqliteStore>,
}

impl SqliteReading {
    pub(crate) async fn open(file: &Path) -> Result<Self, TransferError> {
        if std::fs::metadata(file).map_or(0, |metadata| metadata.len()) == 0 {
            return Err(TransferError::Missing { file: file.to_owned() });
        }
        let store = match SqliteStore::open(file).await {
            Ok(store) => Some(store),
            Err(OpenError::Locked { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let mut connection = reader_options(file).connect().await.map_err(|error| refused(file, &error))?;
        let (found, known) = migrate::newest(&mut connection).await.map_err(|error| refused(file, &error))?;
        if found > known {
            return Err(OpenError::TooNew { database: file.display().to_string(), found, known }.into());
        }
        Ok(Self { connection, store })
    }

    pub(crate) const fn is_in_use(&self) -> bool {
        self.store.is_none()
    }

    pub(crate) async fn begin(&mut self) -> Result<Header, TransferError> {
        let db = &mut self.connection;
        // The moment is settled by the first read.
        db.execute("BEGIN").await.map_err(StoreError::from)?;
        let (schema, _) = migrate::newest(db).await.map_err(StoreError::from)?;
        if schema < OLDEST_SCHEMA {
            return Err(TransferError::NoCluster);
        }
        let Some(row) = db.fetch_optional(LEADER).await.map_err(StoreError::from)? else {
            return Err(TransferError::NoCluster);
        };
        let number = |at: usize| row.try_get::<i64, _>(at).map_err(StoreError::from);
        let keys_fingerprint = if schema < KEYS_SINCE {
            None
        } else {
            let keys = db.fetch_optional("SELECT fingerprint FROM cluster_keys").await.map_err(StoreError::from)?;
            keys.map(|row| row.try_get(0)).transpose().map_err(StoreError::from)?
        };
        let cluster = Cluster {
            cluster_id: row.try_get(0).map_err(StoreError::from)?,
            epoch: number(1)?.unsigned_abs(),
            revision: number(2)?.unsigned_abs(),
            keys_fingerprint,
        };
        Ok(Header::new(schema, cluster, Timestamp::from_micros(number(3)?), "sqlite"))
    }

    pub(crate) async fn each_row(
        &mut self,
        table: &'static Table,
        columns: &[Column],
        take: impl AsyncFnMut(Row) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        rows::each(&mut self.connection, table, columns, take).await
    }

    pub(crate) async fn close(self) {
        // What it has read is read; closing cannot take that back.
        let _ = self.connection.close().await;
        if let Some(store) = self.store {
            store.close().await;
        }
    }
}
