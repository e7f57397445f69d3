//! Moving what is in the write-ahead log into the database file, between commits.
//!
//! SQLite's own checkpoints are off: they ignore an I/O error, and the log would then be overwritten although the file
//! never got its contents. Here such an error ends all writing. A checkpoint runs after the commit that made it due was
//! answered, and before the next one.

use sqlx::Executor;
use tokio::sync::OwnedMutexGuard;

use super::failure::Failure;
use super::writer::Writer;

/// About 32 MB of log, which a start after a crash reads in a fraction of a second.
const DUE_PAGES: usize = 8_192;

/// Pages that a batch touches however small it is: the lease, a row or two, their indexes.
const PAGES_A_COMMIT: usize = 8;

/// Measured: a replica's row with its indexes takes 0.6 KB of log in a large batch.
const ROWS_A_PAGE: usize = 6;

/// Counts a commit of so many rows, and checkpoints where it is due.
pub(super) fn after_commit(mut writer: OwnedMutexGuard<Writer>, rows: usize) {
    writer.unsaved_pages += PAGES_A_COMMIT + rows / ROWS_A_PAGE;
    if writer.unsaved_pages >= DUE_PAGES {
        tokio::spawn(async move { run(&mut writer).await });
    }
}

async fn run(writer: &mut Writer) {
    // Counted as done even where a reader or a full disk is in the way: the rest is moved by the next one.
    writer.unsaved_pages = 0;
    let Ok(connection) = writer.connection() else { return };
    if let Err(error) = connection.fetch_all("PRAGMA wal_checkpoint(PASSIVE)").await {
        match writer.note(error.into()) {
            Failure::Io(_) => {}
            failure => tracing::warn!(?failure, "checkpoint put off"),
        }
    }
}
