//! Where the rows are kept.

use std::path::PathBuf;

/// Which backend, and where. A second backend is a second variant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreConfig {
    /// An embedded database in one file. Its directory is made where it is missing, and locked while the store is open.
    Sqlite {
        /// The database file, such as `DATA/fogline.db`.
        file: PathBuf,
    },
}

impl StoreConfig {
    /// SQLite in this file.
    #[must_use]
    pub fn sqlite(file: impl Into<PathBuf>) -> Self {
        Self::Sqlite { file: file.into() }
    }
}
