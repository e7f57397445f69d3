//! Moving what is in the write-ahead log into the database file, beside the commits.
//!
//! SQLite's own checkpoints are off: they ignore an I/O error, and the log would then be overwritten although the file
//! never got its contents. Here such an error ends all writing. Most of the log is moved by a connection of its own while
//! commits go on behind it; only what they added meanwhile is moved between two commits, so that the log can start over.
//! A commit waits for that little part alone.

use std::sync::Arc;

use sqlx::Executor;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::SqliteStore;
use super::failure::Failure;
use super::writer::Writer;

/// About 32 MB of log, which a start after a crash reads in a fraction of a second.
const DUE_PAGES: usize = 8_192;

/// Pages that a batch touches however small it is: the lease, a row or two, their indexes.
const PAGES_A_COMMIT: usize = 8;

/// Measured: a replica's row with its indexes takes 0.6 KB of log in a large batch.
const ROWS_A_PAGE: usize = 6;

/// The connection that moves the log; nothing once the store is closed. Whoever holds it is the only one who does so.
pub(super) type Mover = Arc<Mutex<Option<SqliteConnection>>>;

impl SqliteStore {
    /// Counts a commit of so many rows, and has the log moved where that is due.
    pub(super) fn after_commit(&self, mut writer: OwnedMutexGuard<Writer>, rows: usize) {
        writer.unsaved_pages += PAGES_A_COMMIT + rows / ROWS_A_PAGE;
        if writer.unsaved_pages >= DUE_PAGES {
            // Counted as done even where a reader or a full disk is in the way: the rest is moved by the next one.
            writer.unsaved_pages = 0;
            // With the lock of the directory, so that nobody else has the file before it is done.
            let store = self.clone();
            tokio::spawn(async move { store.checkpoint().await });
        }
    }

    async fn checkpoint(&self) {
        let mut mover = self.mover.lock().await;
        let Some(connection) = mover.as_mut() else { return };
        if let Err(failure) = move_log(connection).await {
            put_off(&mut *self.writer().await, failure);
            return;
        }
        let mut writer = self.writer().await;
        if let Err(failure) = move_log(connection).await {
            put_off(&mut writer, failure);
        }
    }
}

async fn move_log(connection: &mut SqliteConnection) -> Result<(), Failure> {
    Ok(connection.fetch_all("PRAGMA wal_checkpoint(PASSIVE)").await.map(|_| ())?)
}

fn put_off(writer: &mut Writer, failure: Failure) {
    match writer.note(failure) {
        Failure::Io(_) => {}
        failure => tracing::warn!(?failure, "checkpoint put off"),
    }
}
