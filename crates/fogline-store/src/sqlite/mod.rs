//! The store in one SQLite file: one connection writes, a few others read.
//!
//! Invariant: nobody else has the directory while a [`SqliteStore`] is open, so what the writer's connection says is so.

mod checkpoint;
mod commit;
mod failure;
mod lease;
mod load;
mod lock;
mod migrate;
mod open;
mod prune;
mod read;
mod row;
mod wal;
mod writer;

use std::sync::Arc;

use sqlx::SqlitePool;
use tokio::sync::{Mutex, OwnedMutexGuard};

use self::lock::DirectoryLock;
use self::writer::Writer;

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
    readers: SqlitePool,
    /// After the connections, so that they are gone when the lock is.
    lock: Arc<Mutex<Option<DirectoryLock>>>,
}

impl SqliteStore {
    /// Waits for the writer's turn. Turns come in the order in which they were asked for.
    async fn writer(&self) -> OwnedMutexGuard<Writer> {
        Arc::clone(&self.writer).lock_owned().await
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer().await.close().await;
        self.lock.lock().await.take();
    }
}
