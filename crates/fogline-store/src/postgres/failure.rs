//! What PostgreSQL's errors mean for whoever called. The one place that knows the codes
//! (postgresql.org/docs/current/errcodes-appendix.html).

use fogline_core::causes::chain;
use sqlx::postgres::PgDatabaseError;

use crate::error::{CommitError, StoreError};

/// Why a statement has not said that it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A rule of the schema, or a value that no column can hold.
    Constraint(String),
    /// No room on the server's disk.
    Full,
    /// Nothing was done, and later it may be.
    Unavailable(String),
    /// The answer was lost.
    Unknown(String),
    /// Anything else; nothing was done.
    Other(String),
}

impl Failure {
    /// Of an error from before anything was sent.
    pub(super) fn before(error: &sqlx::Error) -> Self {
        match Self::after(error) {
            Self::Unknown(detail) => Self::Unavailable(detail),
            failure => failure,
        }
    }

    /// Of an error after a statement was sent.
    pub(super) fn after(error: &sqlx::Error) -> Self {
        match error.as_database_error().map(|error| error.downcast_ref::<PgDatabaseError>()) {
            Some(error) => Self::of_code(error.code(), words(error)),
            None => match error {
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Encode(_) => {
                    Self::Other(chain(error))
                }
                _ => Self::Unknown(chain(error)),
            },
        }
    }

    fn of_code(code: &str, detail: String) -> Self {
        match (code, code.get(..2).unwrap_or_default()) {
            ("53100", _) => Self::Full,
            // The server, or somebody there, has ended the connection: perhaps just after the statement.
            ("57P01" | "57P02" | "57P03" | "57P05", _) | (_, "08") => Self::Unknown(detail),
            ("25006", _) => Self::Unavailable(format!(
                "{detail}: this is a copy in recovery or a server set to read only, and only the primary takes writes"
            )),
            // Cancelled by a time limit, in the way of another, out of connections or memory, not let in; or a statement
            // that was prepared before the schema changed. Taken back whole.
            ("57014" | "40001" | "40P01" | "55P03" | "55000" | "0A000" | "26000" | "3D000", _) | (_, "53" | "28") => {
                Self::Unavailable(detail)
            }
            (_, "22" | "23" | "54") => Self::Constraint(detail),
            _ => Self::Other(detail),
        }
    }

    /// Whether the connection can go on.
    pub(super) const fn spares_connection(&self) -> bool {
        matches!(self, Self::Constraint(_) | Self::Full | Self::Other(_))
    }
}

/// In PostgreSQL's words. Its `detail` is left out: it may quote whole rows.
fn words(error: &PgDatabaseError) -> String {
    let place = match (error.table(), error.column()) {
        (Some(table), Some(column)) => format!(" (table {table}, column {column})"),
        (Some(table), None) => format!(" (table {table})"),
        _ => String::new(),
    };
    format!("{}{place} [{}]", error.message(), error.code())
}

/// What a failed read means.
pub(crate) fn of_read(error: sqlx::Error) -> StoreError {
    Failure::after(&error).into()
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full => Self::Full,
            Failure::Unavailable(detail) | Failure::Unknown(detail) => Self::Unavailable { detail },
            Failure::Constraint(detail) | Failure::Other(detail) => Self::Database { detail },
        }
    }
}

/// What fits nowhere counts as unknown, so that the caller trusts nothing and loads again.
impl From<Failure> for CommitError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Constraint(detail) => Self::Constraint { detail },
            Failure::Full => Self::Full,
            Failure::Unavailable(detail) => Self::Unavailable { detail },
            Failure::Unknown(detail) | Failure::Other(detail) => Self::Unknown { detail },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_means_what_the_caller_must_do() {
        let text = String::new;
        for (code, expected) in [
            ("23505", Failure::Constraint(text())),  // unique_violation
            ("23503", Failure::Constraint(text())),  // foreign_key_violation
            ("23001", Failure::Constraint(text())),  // restrict_violation
            ("22008", Failure::Constraint(text())),  // datetime_field_overflow
            ("22021", Failure::Constraint(text())),  // character_not_in_repertoire
            ("22P05", Failure::Constraint(text())),  // untranslatable_character
            ("54000", Failure::Constraint(text())),  // program_limit_exceeded
            ("53100", Failure::Full),                // disk_full
            ("53300", Failure::Unavailable(text())), // too_many_connections
            ("28P01", Failure::Unavailable(text())), // invalid_password
            ("57014", Failure::Unavailable(text())), // query_canceled
            ("40P01", Failure::Unavailable(text())), // deadlock_detected
            ("57P01", Failure::Unknown(text())),     // admin_shutdown
            ("57P02", Failure::Unknown(text())),     // crash_shutdown
            ("08006", Failure::Unknown(text())),     // connection_failure
            ("42P01", Failure::Other(text())),       // undefined_table
            ("XX000", Failure::Other(text())),       // internal_error
        ] {
            assert_eq!(Failure::of_code(code, String::new()), expected, "code {code}");
        }
        let Failure::Unavailable(detail) = Failure::of_code("25006", "cannot execute UPDATE".to_owned()) else {
            panic!("read only");
        };
        assert!(detail.contains("recovery") && detail.contains("primary"), "{detail}");
    }
}
