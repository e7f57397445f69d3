//! What can go wrong with the store, one enum a boundary: opening, reading, committing.
//!
//! The variants are what the caller does about it, not which call failed.

use std::path::PathBuf;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the data directory.
    #[error(
        "cannot open {}: the data directory is in use by {}. Stop that one first, or use another data directory",
        .file.display(), holder(*.pid)
    )]
    Locked {
        /// The lock file.
        file: PathBuf,
        /// The process that holds the lock, if it has said so.
        pid: Option<u32>,
    },
    /// The file is no database, or damaged.
    #[error(
        "cannot open {}: the database is damaged ({detail}). Nothing was changed. Keep the file, and restore a backup",
        .file.display()
    )]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The schema is of a later program.
    #[error(
        "cannot open {database}: it has migration {found}, and this program knows them up to {known}. Use the newer \
         program, or revert the database with it first (fogline db revert)"
    )]
    TooNew {
        /// The database: a file, or server, name and user.
        database: String,
        /// The highest migration it has.
        found: i64,
        /// The highest migration that this program has.
        known: i64,
    },
    /// There is not even room for the index of the log, 32 kB.
    #[error("cannot open {}: its disk is full. Free some space, and start again", .file.display())]
    Full {
        /// The database.
        file: PathBuf,
    },
    /// The directory or file cannot be made, read or written.
    #[error("cannot open {}: {source}. Check that the directory exists and that this user may write there", .file.display())]
    Unusable {
        /// What was tried.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The database server cannot be reached, or does not let this program in.
    #[error("cannot open the database {database}: {detail}")]
    Unreachable {
        /// Server, database and user; never the password.
        database: String,
        /// What was tried, and why it failed.
        detail: String,
    },
    /// The database server is none that Fogline can work with.
    #[error("cannot open the database {database}: {detail}")]
    Unsupported {
        /// Server, database and user; never the password.
        database: String,
        /// What is there, and what would be accepted.
        detail: String,
    },
    /// The database itself refused.
    #[error("cannot open {}: {detail}", .file.display())]
    Database {
        /// The database.
        file: PathBuf,
        /// In its own words.
        detail: String,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Why a read, a migration or a take-over failed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A value that this program never writes.
    #[error("table {table}, row {row}, column {column}: {detail}. The database is damaged, or was edited by hand")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The row's primary key, as far as it can be read.
        row: String,
        /// The column.
        column: &'static str,
        /// What was found there.
        detail: String,
    },
    /// A page was asked for with a cursor that this list never gave.
    #[error("{cursor:?} is no cursor of this list: use the `next` of the page before, or none for the first page")]
    BadCursor {
        /// What was given, cut short.
        cursor: String,
    },
    /// The schema is not there yet, or not all of it.
    #[error("the database has {applied} of {known} migrations: run `fogline db migrate` first")]
    NotMigrated {
        /// How many it has.
        applied: usize,
        /// How many there are.
        known: usize,
    },
    /// A migration cannot be run or taken back.
    #[error("migration {version}: {detail}")]
    Migration {
        /// Which one; 0 where none is to blame.
        version: i64,
        /// Why.
        detail: String,
    },
    /// The database cannot be reached, or takes no writes just now. Goes on by itself once it can.
    #[error("the database cannot be reached: {detail}")]
    Unavailable {
        /// What was tried, and why it failed.
        detail: String,
    },
    /// No room on the disk. Goes on by itself once there is some.
    #[error("the disk that holds the database is full: free some space")]
    Full,
    /// The disk or the file failed. What was written before can no longer be relied on: the process must end.
    #[error("the database's disk failed: {detail}")]
    Io {
        /// In the database's own words.
        detail: String,
    },
    /// Anything else that the database said.
    #[error("the database refused: {detail}")]
    Database {
        /// In its own words.
        detail: String,
    },
}

/// Why a commit failed. What the caller has to do differs with each.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The rows contradict each other or those that are there. Rolled back: nothing was written.
    #[error("the rows were refused: {detail}")]
    Constraint {
        /// Which rule, on which table.
        detail: String,
    },
    /// No room on the disk. Rolled back: nothing was written, and the next commit may pass.
    #[error("the disk that holds the database is full: nothing was written")]
    Full,
    /// The database cannot be reached, or takes no writes just now. Nothing was written: refuse, and try again later.
    #[error("the database cannot be reached: nothing was written ({detail})")]
    Unavailable {
        /// What was tried, and why it failed.
        detail: String,
    },
    /// The disk or the file failed. A retry proves nothing, since the system may have dropped what it could not write:
    /// the process must end without answering. Every later commit of this store fails the same way.
    #[error("the database's disk failed: {detail}")]
    Io {
        /// In the database's own words.
        detail: String,
    },
    /// Somebody else leads. Rolled back: nothing was written.
    #[error("another server has taken over: nothing was written")]
    Fenced,
    /// Whether it was written cannot be told: load again, and let the callers retry.
    #[error("whether the rows were written is not known: {detail}")]
    Unknown {
        /// In the database's own words.
        detail: String,
    },
}
