//! One moment of a database, whichever backend it is of. Each method is a `match` over the backends and little else.

use super::TransferError;
use super::catalogue::{Column, Table};
use super::header::Header;
use super::row::Row;
use crate::config::StoreConfig;
use crate::postgres::PgReading;
use crate::sqlite::SqliteReading;

/// See the module.
pub(crate) enum Snapshot {
    Sqlite(SqliteReading),
    Postgres(Box<PgReading>),
}

impl Snapshot {
    pub(crate) async fn open(config: &StoreConfig) -> Result<Self, TransferError> {
        match config {
            StoreConfig::Sqlite { file } => SqliteReading::open(file).await.map(Self::Sqlite),
            StoreConfig::Postgres(config) => Ok(Self::Postgres(Box::new(PgReading::open(config).await?))),
        }
    }

    pub(crate) const fn is_in_use(&self) -> bool {
        match self {
            Self::Sqlite(reading) => reading.is_in_use(),
            Self::Postgres(reading) => reading.is_in_use(),
        }
    }

    /// Settles the moment, and says what there is.
    pub(crate) async fn begin(&mut self) -> Result<Header, TransferError> {
        match self {
            Self::Sqlite(reading) => reading.begin().await,
            Self::Postgres(reading) => reading.begin().await,
        }
    }

    /// Gives each row of a table, in the order of the key.
    pub(crate) async fn each_row(
        &mut self,
        table: &'static Table,
        columns: &[Column],
        take: impl AsyncFnMut(Row) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        match self {
            Self::Sqlite(reading) => reading.each_row(table, columns, take).await,
            Self::Postgres(reading) => reading.each_row(table, columns, take).await,
        }
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Sqlite(reading) => reading.close().await,
            Self::Postgres(reading) => reading.close().await,
        }
    }
}
