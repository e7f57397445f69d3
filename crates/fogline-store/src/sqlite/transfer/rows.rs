//! Rows of any table of the catalogue, out of SQLite and into it.

use std::sync::Arc;

use futures_util::TryStreamExt;
use serde_json::Value;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Row as _};

use crate::error::StoreError;
use crate::transfer::{Column, Kind, Row, Table, TransferError, bytes, document, float, hex};

/// Rows a statement, so that few different ones are compiled.
const STATEMENT_ROWS: usize = 32;

/// Reads a table in the order of its key.
pub(super) async fn each(
    db: &mut SqliteConnection,
    table: &'static Table,
    columns: &[Column],
    mut take: impl AsyncFnMut(Row) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    // Made of the constants of the catalogue alone.
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let key = &names[..table.key];
    let sql = format!("SELECT {} FROM {} ORDER BY {}", names.join(", "), table.name, key.join(", "));
    let mut found = sqlx::query(AssertSqlSafe(sql)).fetch(db);
    while let Some(row) = found.try_next().await.map_err(StoreError::from)? {
        take(read(&row, table, columns)?).await?;
    }
    Ok(())
}

fn read(row: &SqliteRow, table: &'static Table, columns: &[Column]) -> Result<Row, StoreError> {
    let value = |(at, column): (usize, &Column)| {
        value(row, at, column.kind).map_err(|detail| StoreError::Damaged {
            table: table.name,
            row: key(row, table),
            column: column.name,
            detail,
        })
    };
    columns.iter().enumerate().map(value).collect()
}

fn value(row: &SqliteRow, at: usize, kind: Kind) -> Result<Value, String> {
    let text = || row.try_get::<Option<String>, _>(at).map_err(|error| error.to_string());
    let number = || row.try_get::<Option<i64>, _>(at).map_err(|error| error.to_string());
    let value = match kind {
        Kind::Id | Kind::Text => text()?.map(Value::from),
        Kind::Integer | Kind::Time => number()?.map(Value::from),
        Kind::Flag => match number()? {
            None => None,
            Some(0) => Some(Value::from(false)),
            Some(1) => Some(Value::from(true)),
            Some(other) => return Err(format!("{other} is neither 0 nor 1")),
        },
        Kind::Float => {
            let real: Option<f64> = row.try_get(at).map_err(|error| error.to_string())?;
            real.map(|real| float(real).ok_or_else(|| format!("{real} is not finite"))).transpose()?
        }
        Kind::Document => text()?.map(|text| document(&text).map_err(|error| error.to_string())).transpose()?,
        Kind::Bytes => {
            let blob: Option<Vec<u8>> = row.try_get(at).map_err(|error| error.to_string())?;
            blob.map(|blob| Value::from(hex(&blob)))
        }
    };
    Ok(value.unwrap_or(Value::Null))
}

/// The row's key, as far as it can be read.
fn key(row: &SqliteRow, table: &Table) -> String {
    let part = |at: usize| {
        let text = row.try_get::<String, _>(at).ok();
        text.or_else(|| row.try_get::<i64, _>(at).ok().map(|number| number.to_string()))
    };
    (0..table.key).filter_map(part).collect::<Vec<_>>().join(" ")
}

/// Adds rows to a table.
pub(super) async fn insert(
    db: &mut SqliteConnection,
    table: &Table,
    columns: &[Column],
    rows: &[Row],
) -> Result<(), StoreError> {
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let tuple = format!("({})", vec!["?"; columns.len()].join(", "));
    for rows in rows.chunks(STATEMENT_ROWS) {
        let tuples = vec![tuple.as_str(); rows.len()].join(", ");
        // Made of the constants of the catalogue alone: every value is a parameter.
        let sql: Arc<str> = format!("INSERT INTO {} ({}) VALUES {tuples}", table.name, names.join(", ")).into();
        let mut arguments = SqliteArguments::default();
        for row in rows {
            for (value, column) in row.iter().zip(columns) {
                bind(&mut arguments, value, column.kind);
            }
        }
        sqlx::query_with(AssertSqlSafe(sql), arguments).execute(&mut *db).await?;
    }
    Ok(())
}

fn bind(arguments: &mut SqliteArguments, value: &Value, kind: Kind) {
    let added = match (kind, value) {
        (_, Value::Null) => arguments.add(None::<String>),
        (Kind::Document, value) => arguments.add(value.to_string()),
        (Kind::Bytes, value) => arguments.add(value.as_str().and_then(bytes)),
        (Kind::Id | Kind::Text, value) => arguments.add(value.as_str().map(str::to_owned)),
        (Kind::Integer | Kind::Time, value) => arguments.add(value.as_i64()),
        (Kind::Float, value) => arguments.add(value.as_f64()),
        (Kind::Flag, value) => arguments.add(value.as_bool().map(i64::from)),
    };
    added.expect("text, numbers and bytes are taken as they are");
}
