//! The last line of a backup: how much there is, and checksums. What has no such line is torn.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::row::hex;

/// How many rows a table has, and what they hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TableSum {
    /// The table.
    pub table: String,
    /// How many.
    pub rows: u64,
    /// SHA-256 over their lines, in the order of the key.
    pub sha256: String,
}

/// The last line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Footer {
    /// Each table, in the order of the catalogue.
    pub(crate) tables: Vec<TableSum>,
    /// SHA-256 over every byte before this line.
    pub(crate) sha256: String,
}

/// Counts and hashes what passes by.
#[derive(Clone, Default)]
pub(crate) struct Sum {
    lines: u64,
    hash: Sha256,
}

impl Sum {
    pub(crate) fn add(&mut self, line: &str) {
        self.lines += 1;
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
    }

    pub(crate) fn sha256(&self) -> String {
        hex(&self.hash.clone().finalize())
    }

    pub(crate) fn of(&self, table: &str) -> TableSum {
        TableSum { table: table.to_owned(), rows: self.lines, sha256: self.sha256() }
    }
}
