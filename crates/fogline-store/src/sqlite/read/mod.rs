//! Reads for people, one family a file. All go through the readers' connections, which cannot write.

mod audit;
mod counts;
mod deployments;
mod history;
mod idempotency;
mod nodes;
mod replicas;
mod revisions;
mod sessions;
mod users;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use super::row::Columns;
use crate::error::StoreError;

type Query = sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments>;
type Decode<T> = fn(&Columns<'_>) -> Result<T, StoreError>;

/// At most one row.
async fn one<T>(
    readers: &SqlitePool,
    query: Query,
    table: &'static str,
    decode: Decode<T>,
) -> Result<Option<T>, StoreError> {
    query.fetch_optional(readers).await?.map(|row| decode(&Columns::of(&row, table))).transpose()
}

/// All rows that the query gives.
async fn all<T>(
    readers: &SqlitePool,
    query: Query,
    table: &'static str,
    decode: Decode<T>,
) -> Result<Vec<T>, StoreError> {
    let rows: Vec<SqliteRow> = query.fetch_all(readers).await?;
    rows.iter().map(|row| decode(&Columns::of(row, table))).collect()
}
