//! The store in one SQLite file: one connection writes, one moves the log, a few others read.
//!
//! Invariant: nobody else has the directory while a [`SqliteStore`] is open, so what the writer's connection says is so.

mod checkpoint;
mod commit;
mod failure;
mod lease;
mod lock;
mod migrate;
mod open;
mod prune;
mod reader;
mod transfer;
mod wal;
mod writer;

use std::sync::Arc;

use fogline_core::cluster::Durable;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, Sqlite, SqlitePool};
use tokio::sync::{Mutex, OwnedMutexGuard};

use self::checkpoint::Mover;
use self::lock::DirectoryLock;
use self::writer::Writer;
use crate::error::StoreError;
use crate::read;

pub(crate) use self::failure::Failure;
pub(crate) use self::open::{reader_options, refused};
pub(crate) use self::transfer::{SqliteFilling, SqliteReading};

/// Microseconds since 1970 by the database's own clock, which is good to a millisecond.
macro_rules! database_clock {
    () => {
        "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"
    };
}
use database_clock;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct SqliteStore {
    writer: Arc<Mutex<Writer>>,
    mover: Mover,
    readers: SqlitePool,
    /// After the connections, so that they are gone when the lock is.
    lock: Arc<Mutex<Option<DirectoryLock>>>,
}

impl SqliteStore {
    /// Waits for the writer's turn. Turns come in the order in which they were asked for.
    async fn writer(&self) -> OwnedMutexGuard<Writer> {
        Arc::clone(&self.writer).lock_owned().await
    }

    /// A connection to read with.
    pub(crate) async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.readers.acquire().await?)
    }

    /// Everything that the cluster holds in memory, of one moment.
    pub(crate) async fn load(&self) -> Result<Durable, StoreError> {
        let mut snapshot = self.readers.begin().await?;
        migrate::check_complete(&mut snapshot).await?;
        let durable = read::load(&mut *snapshot).await?;
        snapshot.commit().await?;
        Ok(durable)
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        if let Some(connection) = self.mover.lock().await.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "closing the connection that moves the log");
        }
        // The last one: it takes the rest of the log into the file.
        self.writer().await.close().await;
        self.lock.lock().await.take();
    }
}
