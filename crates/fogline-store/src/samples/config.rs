//! Where samples are kept.

use std::path::PathBuf;

use crate::config::StoreConfig;
use crate::postgres::PostgresConfig;

/// Which backend, and where. Its `Debug` never shows a password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SamplesConfig {
    /// In a file of their own.
    Sqlite {
        /// Such as `DATA/samples.db`.
        file: PathBuf,
    },
    /// In tables of their own, in a database of a PostgreSQL server.
    Postgres(PostgresConfig),
}

impl SamplesConfig {
    /// Beside the rows: `samples.db` in the directory of a file, or the same database.
    #[must_use]
    pub fn beside(rows: &StoreConfig) -> Self {
        match rows {
            StoreConfig::Sqlite { file } => Self::Sqlite { file: file.with_file_name("samples.db") },
            StoreConfig::Postgres(config) => Self::Postgres(config.clone()),
        }
    }
}
