//! What is printed: a table of rows and checksums, and failures with what to do.

use fogline_store::{OpenError, TableSum, TransferError};
use serde_json::{Value, json};

use crate::command::open_failure;
use crate::exit::{Exit, Failure};
use crate::output::{Paint, Table};

/// Digits of a checksum that people compare.
const DIGITS: usize = 16;

/// Rows and checksums; with `checked`, a column that says that both were found again where they were written.
pub fn table(paint: Paint, sums: &[TableSum], checked: bool) -> String {
    let header: &[&str] = if checked { &["TABLE", "ROWS", "CHECKSUM", "SAME"] } else { &["TABLE", "ROWS", "CHECKSUM"] };
    let mut table = Table::new(paint, header);
    for sum in sums {
        let checksum = sum.sha256.chars().take(DIGITS).collect();
        let mut cells = vec![sum.table.clone(), sum.rows.to_string(), checksum];
        if checked {
            cells.push("yes".to_owned());
        }
        table.row(&cells);
    }
    table.render("no tables")
}

/// The same for programs.
pub fn json(sums: &[TableSum]) -> Value {
    sums.iter().map(|sum| json!({ "table": sum.table, "rows": sum.rows, "sha256": sum.sha256 })).collect()
}

/// A failure, with what to do.
pub fn failure(error: TransferError) -> Failure {
    let text = error.to_string();
    match error {
        TransferError::Open(error @ OpenError::Locked { .. }) => open_failure(error)
            .hint("`fogline backup` reads beside a server; what writes needs the data directory for itself"),
        TransferError::Open(error) => open_failure(error),
        TransferError::Missing { .. } => Failure::new(Exit::NotFound, text)
            .hint("--data names the directory of the database, --database-url one on PostgreSQL"),
        TransferError::NoCluster => Failure::new(Exit::NotFound, text),
        TransferError::NotEmpty { .. } => Failure::new(Exit::Refused, text)
            .hint("name another place; or add --replace: a file is kept beside, what is on PostgreSQL is gone"),
        TransferError::InUse { .. } => Failure::new(Exit::Unavailable, text),
        TransferError::NotABackup { .. }
        | TransferError::TooNew { .. }
        | TransferError::Torn { .. }
        | TransferError::Damaged { .. }
        | TransferError::NoEpochLeft { .. } => Failure::new(Exit::Refused, text),
        TransferError::Store(_)
        | TransferError::Read(_)
        | TransferError::Write(_)
        | TransferError::Different { .. }
        | TransferError::File { .. } => Failure::general(text),
    }
}
