//! How a connection of PostgreSQL reads, and what its values are: all of their native types, in binary.

use std::error::Error;

use fogline_core::time::Timestamp;
use sqlx::postgres::{PgConnection, PgRow, PgValueRef};
use sqlx::types::Uuid;
use sqlx::{Decode, Postgres, Row, Type, ValueRef};

use super::failure::of_read;
use super::time::Moment;
use crate::error::StoreError;
use crate::read::{self, Parameter, Query, Reader};
use crate::row::{Cells, Columns};

/// What a document starts with in binary.
const JSONB_VERSION: u8 = 1;

impl Reader for PgConnection {
    async fn all<T: Send>(
        &mut self,
        query: Query,
        table: &'static str,
        decode: read::Decode<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut bound = sqlx::query(query.postgres);
        for parameter in query.parameters {
            bound = match parameter {
                Parameter::Id(id) => bound.bind(id),
                Parameter::Ids(ids) => bound.bind(ids),
                Parameter::Text(text) => bound.bind(text),
                Parameter::Texts(texts) => bound.bind(texts),
                Parameter::Number(number) => bound.bind(number),
                Parameter::Flag(flag) => bound.bind(flag),
                Parameter::Time(time) => bound.bind(Moment(time)),
            };
        }
        let rows = bound.fetch_all(self).await.map_err(of_read)?;
        rows.iter().map(|row| decode(&Columns::of(row, table))).collect()
    }
}

fn cell<'r, T: Decode<'r, Postgres> + Type<Postgres>>(row: &'r PgRow, column: &str) -> Result<Option<T>, String> {
    // The library's own words repeat the column's name, which whoever hears of it knows.
    row.try_get(column).map_err(|error| error.source().map_or_else(|| error.to_string(), ToString::to_string))
}

fn raw<'r>(row: &'r PgRow, column: &str) -> Result<Option<PgValueRef<'r>>, String> {
    let value = row.try_get_raw(column).map_err(|error| error.to_string())?;
    Ok((!value.is_null()).then_some(value))
}

impl Cells for PgRow {
    /// An enum's words come as text does.
    fn text(&self, column: &str) -> Result<Option<&str>, String> {
        let Some(value) = raw(self, column)? else { return Ok(None) };
        value.as_str().map(Some).map_err(|error| error.to_string())
    }

    fn id(&self, column: &str) -> Result<Option<Uuid>, String> {
        cell(self, column)
    }

    fn number(&self, column: &str) -> Result<Option<i64>, String> {
        cell(self, column)
    }

    fn real(&self, column: &str) -> Result<Option<f64>, String> {
        cell(self, column)
    }

    fn flag(&self, column: &str) -> Result<Option<bool>, String> {
        cell(self, column)
    }

    fn time(&self, column: &str) -> Result<Option<Timestamp>, String> {
        Ok(cell(self, column)?.map(|Moment(time)| time))
    }

    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, String> {
        cell(self, column)
    }

    fn json(&self, column: &str) -> Result<Option<&str>, String> {
        let Some(value) = raw(self, column)? else { return Ok(None) };
        match value.as_bytes().map_err(|error| error.to_string())?.split_first() {
            Some((&JSONB_VERSION, text)) => str::from_utf8(text).map(Some).map_err(|error| error.to_string()),
            _ => Err("it is no JSONB that this program knows".to_owned()),
        }
    }
}
