//! Why a backup, a restore or a copy failed. In each case the database that was to be written is as it was.

use std::path::PathBuf;

use crate::error::{OpenError, StoreError};

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The database does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database opens and does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no database to read.
    #[error("there is no database at {}", .file.display())]
    Missing {
        /// Where it should be.
        file: PathBuf,
    },
    /// There is nothing worth keeping.
    #[error("there is nothing to back up: no server has led a cluster on this database yet")]
    NoCluster,
    /// Something else, or the beginning of it is gone.
    #[error("this is no backup of Fogline: {detail}")]
    NotABackup {
        /// What was found.
        detail: String,
    },
    /// A later program wrote it.
    #[error(
        "the backup is of a newer Fogline: its {what} is {found}, and this program knows them up to {known}. Use the \
         newer program"
    )]
    TooNew {
        /// `form` or `schema`.
        what: &'static str,
        /// The backup's.
        found: i64,
        /// The highest that this program knows.
        known: i64,
    },
    /// It ends before its last line.
    #[error("the backup is torn: it ends after line {line}, before its checksums. Use another one")]
    Torn {
        /// The last line that is there.
        line: u64,
    },
    /// It was changed since it was written.
    #[error("the backup is damaged at line {line}: {detail}. Use another one")]
    Damaged {
        /// Where, from 1.
        line: u64,
        /// What was found.
        detail: String,
    },
    /// It cannot be read.
    #[error("cannot read the backup: {0}")]
    Read(std::io::Error),
    /// It cannot be written.
    #[error("cannot write the backup: {0}")]
    Write(std::io::Error),
    /// There is a cluster in the database already.
    #[error("the database {database} is not empty: {detail}")]
    NotEmpty {
        /// Which.
        database: String,
        /// What is there.
        detail: String,
    },
    /// A server works with the database.
    #[error("the database {database} is in use by a server ({detail}). Stop it first")]
    InUse {
        /// Which.
        database: String,
        /// By whom.
        detail: String,
    },
    /// The rows were written, read again, and not the same. They were taken back.
    #[error(
        "table {table} came out different: {wanted_rows} rows were to be written, {found_rows} were read again, and their \
         checksums differ. Nothing was changed. This is a fault of Fogline: keep the backup, and report it"
    )]
    Different {
        /// Which.
        table: String,
        /// As in the backup.
        wanted_rows: u64,
        /// As in the database.
        found_rows: u64,
    },
    /// No epoch is left above the one that was asked for.
    #[error("an epoch above {above} is asked for, and there is none: the highest is {highest}")]
    NoEpochLeft {
        /// What was asked for.
        above: u64,
        /// The highest that a database takes.
        highest: u64,
    },
    /// A file or directory beside the database.
    #[error("cannot {what} {}: {source}", .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}
