//! Rows of any table of the catalogue, out of PostgreSQL and into it.
//!
//! Each value leaves the database in the one form that a backup has for it, and goes in by a cast to whatever type its
//! column has, so that nothing here knows of enums.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use serde_json::Value;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::failure::of_read;
use crate::error::StoreError;
use crate::transfer::{Column, Kind, Row, Table, TransferError, document, float, hex};

/// Reads a table in the order of its key: bytes, whatever the database's language.
pub(super) async fn each(
    db: &mut PgConnection,
    table: &'static Table,
    columns: &[Column],
    mut take: impl AsyncFnMut(Row) -> Result<(), TransferError>,
) -> Result<(), TransferError> {
    let values: Vec<String> = columns.iter().map(read_as).collect();
    let key: Vec<String> = columns[..table.key].iter().map(in_order).collect();
    // Made of the constants of the catalogue alone.
    let sql = format!("SELECT {} FROM {} AS t ORDER BY {}", values.join(", "), table.name, key.join(", "));
    let mut found = sqlx::query(AssertSqlSafe(sql)).fetch(db);
    while let Some(row) = found.try_next().await.map_err(failed)? {
        take(read(&row, table, columns)?).await?;
    }
    Ok(())
}

fn read_as(column: &Column) -> String {
    let name = column.name;
    match column.kind {
        Kind::Id | Kind::Text | Kind::Document => format!("t.{name}::text"),
        Kind::Integer => format!("t.{name}::bigint"),
        Kind::Float => format!("t.{name}::float8"),
        Kind::Flag | Kind::Bytes => format!("t.{name}"),
        Kind::Time => format!("(extract(epoch FROM t.{name}) * 1000000)::bigint"),
    }
}

fn in_order(column: &Column) -> String {
    match column.kind {
        Kind::Text => format!("t.{} COLLATE \"C\"", column.name),
        _ => format!("t.{}", column.name),
    }
}

fn read(row: &PgRow, table: &'static Table, columns: &[Column]) -> Result<Row, StoreError> {
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

fn value(row: &PgRow, at: usize, kind: Kind) -> Result<Value, String> {
    let words = |error: sqlx::Error| error.to_string();
    let text = || row.try_get::<Option<String>, _>(at).map_err(words);
    let value = match kind {
        Kind::Id | Kind::Text => text()?.map(Value::from),
        Kind::Integer | Kind::Time => row.try_get::<Option<i64>, _>(at).map_err(words)?.map(Value::from),
        Kind::Flag => row.try_get::<Option<bool>, _>(at).map_err(words)?.map(Value::from),
        Kind::Float => {
            let real: Option<f64> = row.try_get(at).map_err(words)?;
            real.map(|real| float(real).ok_or_else(|| format!("{real} is not finite"))).transpose()?
        }
        Kind::Document => text()?.map(|text| document(&text).map_err(|error| error.to_string())).transpose()?,
        Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(at).map_err(words)?.map(|bytes| Value::from(hex(&bytes))),
    };
    Ok(value.unwrap_or(Value::Null))
}

/// The row's key, as far as it can be read.
fn key(row: &PgRow, table: &Table) -> String {
    let part = |at: usize| {
        let text = row.try_get::<String, _>(at).ok();
        text.or_else(|| row.try_get::<i64, _>(at).ok().map(|number| number.to_string()))
    };
    (0..table.key).filter_map(part).collect::<Vec<_>>().join(" ")
}

/// The types that a table's columns have, by name.
pub(super) async fn types(db: &mut PgConnection, table: &Table) -> Result<BTreeMap<String, String>, TransferError> {
    let sql = "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute \
        WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped";
    let rows = sqlx::query(sql).bind(table.name).fetch_all(db).await.map_err(failed)?;
    let pair = |row: &PgRow| Ok((row.try_get(0)?, row.try_get(1)?));
    rows.iter().map(pair).collect::<Result<_, sqlx::Error>>().map_err(failed)
}

/// Adds rows to a table, all of them as one document: one round trip, whatever they are.
pub(super) async fn insert(
    db: &mut PgConnection,
    table: &Table,
    columns: &[Column],
    types: &BTreeMap<String, String>,
    rows: Vec<Row>,
) -> Result<(), TransferError> {
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let value = |(at, column): (usize, &Column)| {
        let kind = types.get(column.name).map_or("text", String::as_str);
        write_as(at, column.kind, kind)
    };
    let values: Vec<String> = columns.iter().enumerate().map(value).collect();
    // Made of the constants of the catalogue and of the types that the database itself has named.
    let sql = format!(
        "INSERT INTO {} ({}) SELECT {} FROM json_array_elements($1::json) AS r(v)",
        table.name,
        names.join(", "),
        values.join(", ")
    );
    let rows = Value::Array(rows.into_iter().map(Value::Array).collect()).to_string();
    sqlx::query(AssertSqlSafe(sql)).bind(rows).execute(db).await.map_err(failed)?;
    Ok(())
}

fn write_as(at: usize, kind: Kind, sql_type: &str) -> String {
    match kind {
        Kind::Id | Kind::Text | Kind::Integer | Kind::Float | Kind::Flag => format!("(v->>{at})::{sql_type}"),
        Kind::Time => format!("timestamptz 'epoch' + (v->>{at})::bigint * interval '1 microsecond'"),
        Kind::Document => format!("CASE WHEN v->>{at} IS NOT NULL THEN (v->{at})::{sql_type} END"),
        Kind::Bytes => format!("decode(v->>{at}, 'hex')"),
    }
}

pub(super) fn failed(error: sqlx::Error) -> TransferError {
    TransferError::Store(of_read(error))
}
