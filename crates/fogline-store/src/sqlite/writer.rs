//! The one connection that writes, and what is known of its transaction.
//!
//! Transactions are begun and ended in plain SQL: SQLite ends one by itself on some errors, and only it knows. Invariant:
//! whoever gets the writer finds no transaction open, also after a caller was dropped in the middle of one. Tests:
//! `tests/it/faults`.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};

use super::failure::Failure;
use crate::error::CommitError;

/// See the module.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Option<SqliteConnection>,
    /// Set before BEGIN is sent, cleared once the end is known.
    in_transaction: bool,
    /// Set for ever by the first I/O error: a later success would prove nothing.
    failed: Option<String>,
    /// Pages, by estimate, that were written since the last checkpoint.
    pub(super) unsaved_pages: usize,
}

impl Writer {
    pub(super) fn new(connection: SqliteConnection) -> Self {
        Self { connection: Some(connection), in_transaction: false, failed: None, unsaved_pages: 0 }
    }

    /// The connection, if it may be used.
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, Failure> {
        if let Some(detail) = &self.failed {
            return Err(Failure::Io(format!("it failed before, and cannot be trusted since: {detail}")));
        }
        self.connection.as_mut().ok_or_else(|| Failure::Other("the store is closed".to_owned()))
    }

    /// Starts a transaction that may write from its first statement on: one that has to be upgraded later fails at once
    /// where another one has written in between.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        if self.in_transaction {
            self.roll_back().await?;
        }
        self.connection()?;
        self.in_transaction = true;
        let begun = self.run("BEGIN IMMEDIATE").await;
        if begun.is_err() {
            self.in_transaction = false;
        }
        begun
    }

    /// Ends the transaction for good, or says what has become of it.
    pub(super) async fn commit(&mut self) -> Result<(), CommitError> {
        let Err(failure) = self.run("COMMIT").await else {
            self.in_transaction = false;
            return Ok(());
        };
        // Where SQLite has kept the transaction open, this ends it and nothing was written. Where it has ended it by
        // itself, a full disk means that the last page of the log was not written, so the commit does not count. An
        // error of the disk may have come after that page, and anything else is not known to be harmless.
        let still_open = self.roll_back().await.map_err(CommitError::from)?;
        match failure {
            Failure::IndexFull(detail) | Failure::Other(detail) if !still_open => Err(CommitError::Unknown { detail }),
            failure => Err(failure.into()),
        }
    }

    /// Takes the transaction back. Says whether it was still open: on some errors SQLite has done so already.
    pub(super) async fn roll_back(&mut self) -> Result<bool, Failure> {
        let rolled_back = self.run("ROLLBACK").await;
        if matches!(&rolled_back, Err(Failure::Io(_))) {
            return rolled_back.map(|()| true);
        }
        self.in_transaction = false;
        // The only thing a ROLLBACK is ever refused for is that there is no transaction.
        Ok(rolled_back.is_ok())
    }

    /// One statement without parameters or rows.
    pub(super) async fn run(&mut self, sql: &'static str) -> Result<(), Failure> {
        let result = self.connection()?.execute(sql).await;
        result.map(|_| ()).map_err(|error| self.note(error.into()))
    }

    /// Remembers a failure that ends all writing.
    pub(super) fn note(&mut self, failure: Failure) -> Failure {
        if let (Failure::Io(detail), None) = (&failure, &self.failed) {
            tracing::error!(%detail, "the database's disk failed, nothing more will be written");
            self.failed = Some(detail.clone());
        }
        failure
    }

    pub(super) async fn close(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "closing the database");
        }
    }
}
