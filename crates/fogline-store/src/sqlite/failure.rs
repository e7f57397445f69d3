//! What SQLite's result codes mean for whoever called. The one place that knows the numbers (sqlite.org/rescode.html).

use sqlx::error::DatabaseError;
use sqlx::sqlite::SqliteError;

use crate::error::{CommitError, StoreError};

/// A failed statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A rule of the schema.
    Constraint(String),
    /// No room; SQLite leaves the database as it was.
    Full,
    /// No room for the index of the log. During COMMIT that comes after the log itself was written, so a crash before the
    /// next commit could bring back what this process has taken back.
    IndexFull(String),
    /// The disk or the file.
    Io(String),
    /// Anything else.
    Other(String),
}

const CONSTRAINT: u32 = 19;
const FULL: u32 = 13;
const IOERR: u32 = 10;
const CORRUPT: u32 = 11;
const READONLY: u32 = 8;
const NOTADB: u32 = 26;
/// No room for the index of the write-ahead log: reported as an I/O error, and yet nothing but a full disk.
const IOERR_SHMSIZE: u32 = IOERR | (19 << 8);
/// No memory for a moment: reported as an I/O error, and yet nothing was read or written.
const IOERR_NOMEM: u32 = IOERR | (12 << 8);

impl Failure {
    /// Of a code as SQLite gives it, extended.
    fn of_code(code: u32, detail: String) -> Self {
        match (code, code & 0xff) {
            (IOERR_SHMSIZE, _) => Self::IndexFull(detail),
            (_, FULL) => Self::Full,
            (IOERR_NOMEM, _) => Self::Other(detail),
            (_, CONSTRAINT) => Self::Constraint(detail),
            // A file that became read-only, or was moved away, under a running program cannot be trusted again either.
            (_, IOERR | CORRUPT | NOTADB | READONLY) => Self::Io(detail),
            _ => Self::Other(detail),
        }
    }

    /// Whether this says that the file is no database or a damaged one.
    pub(crate) fn is_corrupt(error: &sqlx::Error) -> bool {
        code(error).is_some_and(|code| matches!(code & 0xff, CORRUPT | NOTADB))
    }
}

fn code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.try_downcast_ref::<SqliteError>()?.code()?.parse().ok()
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&sqlx::Error> for Failure {
    fn from(error: &sqlx::Error) -> Self {
        match (code(error), error) {
            (Some(code), _) => Self::of_code(code, error.to_string()),
            (None, sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed) => Self::Io(error.to_string()),
            (None, _) => Self::Other(error.to_string()),
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full | Failure::IndexFull(_) => Self::Full,
            Failure::Io(detail) => Self::Io { detail },
            Failure::Constraint(detail) | Failure::Other(detail) => Self::Database { detail },
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Failure::from(error).into()
    }
}

/// Of a failure after which the transaction was rolled back. What fits nowhere counts as unknown, so that the caller
/// trusts nothing and loads again.
impl From<Failure> for CommitError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Constraint(detail) => Self::Constraint { detail },
            Failure::Full | Failure::IndexFull(_) => Self::Full,
            Failure::Io(detail) => Self::Io { detail },
            Failure::Other(detail) => Self::Unknown { detail },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_means_what_the_caller_must_do() {
        let of = |code| Failure::of_code(code, String::new());
        let text = String::new;
        for (code, expected) in [
            (13, Failure::Full),
            (4874, Failure::IndexFull(text())), // SQLITE_IOERR_SHMSIZE
            (10, Failure::Io(text())),
            (1034, Failure::Io(text())), // SQLITE_IOERR_FSYNC
            (778, Failure::Io(text())),  // SQLITE_IOERR_WRITE
            (11, Failure::Io(text())),
            (267, Failure::Io(text())),          // SQLITE_CORRUPT_VTAB
            (1032, Failure::Io(text())),         // SQLITE_READONLY_DBMOVED
            (2067, Failure::Constraint(text())), // SQLITE_CONSTRAINT_UNIQUE
            (787, Failure::Constraint(text())),  // SQLITE_CONSTRAINT_FOREIGNKEY
            (1811, Failure::Constraint(text())), // SQLITE_CONSTRAINT_TRIGGER
            (3082, Failure::Other(text())),      // SQLITE_IOERR_NOMEM
            (5, Failure::Other(text())),         // SQLITE_BUSY
            (1, Failure::Other(text())),
        ] {
            assert_eq!(of(code), expected, "code {code}");
        }
    }
}
