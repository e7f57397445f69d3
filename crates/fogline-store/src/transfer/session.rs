//! A database that is being filled, in one transaction. Each method is a `match` over the backends and little else.

use std::path::PathBuf;

use super::TransferError;
use super::catalogue::{Column, Table};
use super::header::Cluster;
use super::row::Row;
use crate::config::StoreConfig;
use crate::postgres::PgFilling;
use crate::sqlite::SqliteFilling;

/// See the module.
pub(crate) enum Session {
    Sqlite(Box<SqliteFilling>),
    Postgres(Box<PgFilling>),
}

impl Session {
    /// Makes sure that nobody works with the database and that nothing would be lost, and gives it the tables of this
    /// schema.
    pub(crate) async fn begin(config: &StoreConfig, schema: i64, replace: bool) -> Result<Self, TransferError> {
        match config {
            StoreConfig::Sqlite { file } => {
                let filling = SqliteFilling::begin(file, schema, replace).await?;
                Ok(Self::Sqlite(Box::new(filling)))
            }
            StoreConfig::Postgres(config) => {
                let filling = PgFilling::begin(config, schema, replace).await?;
                Ok(Self::Postgres(Box::new(filling)))
            }
        }
    }

    pub(crate) async fn write(
        &mut self,
        table: &'static Table,
        columns: &[Column],
        rows: Vec<Row>,
    ) -> Result<(), TransferError> {
        match self {
            Self::Sqlite(filling) => filling.write(table, columns, rows).await,
            Self::Postgres(filling) => filling.write(table, columns, rows).await,
        }
    }

    /// Writes what is known of the cluster; nobody leads it yet.
    pub(crate) async fn lead(&mut self, schema: i64, cluster: &Cluster) -> Result<(), TransferError> {
        match self {
            Self::Sqlite(filling) => filling.lead(schema, cluster).await,
            Self::Postgres(filling) => filling.lead(schema, cluster).await,
        }
    }

    /// Gives each row that was written, in the order of the key.
    pub(crate) async fn each_row(
        &mut self,
        table: &'static Table,
        columns: &[Column],
        take: impl AsyncFnMut(Row) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        match self {
            Self::Sqlite(filling) => filling.each_row(table, columns, take).await,
            Self::Postgres(filling) => filling.each_row(table, columns, take).await,
        }
    }

    /// Keeps it, and brings the schema up to date. Says where the one from before is, when there was one.
    pub(crate) async fn commit(self) -> Result<Option<PathBuf>, TransferError> {
        match self {
            Self::Sqlite(filling) => filling.commit().await,
            Self::Postgres(filling) => filling.commit().await.map(|()| None),
        }
    }

    /// Leaves everything as it was.
    pub(crate) async fn abandon(self) {
        match self {
            Self::Sqlite(filling) => filling.abandon().await,
            Self::Postgres(filling) => filling.abandon().await,
        }
    }
}
