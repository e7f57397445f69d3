//! How a connection of SQLite reads, and what its values are: ids and documents are text, times and flags are numbers.

use std::error::Error;

use fogline_core::time::Timestamp;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::types::Uuid;
use sqlx::{Decode, Row, Sqlite, Type};

use crate::error::StoreError;
use crate::read::{self, Parameter, Query, Reader};
use crate::row::{Cells, Columns};

impl Reader for SqliteConnection {
    async fn all<T: Send>(
        &mut self,
        query: Query,
        table: &'static str,
        decode: read::Decode<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut bound = sqlx::query(query.sqlite);
        for parameter in query.parameters {
            bound = match parameter {
                Parameter::Id(id) => bound.bind(id.map(|id| id.to_string())),
                Parameter::Ids(ids) => bound.bind(list(ids.iter().map(Uuid::to_string))),
                Parameter::Text(text) => bound.bind(text),
                Parameter::Texts(texts) => bound.bind(list(texts.into_iter())),
                Parameter::Number(number) => bound.bind(number),
                Parameter::Flag(flag) => bound.bind(flag),
                Parameter::Time(time) => bound.bind(time.as_micros()),
            };
        }
        let rows = bound.fetch_all(self).await?;
        rows.iter().map(|row| decode(&Columns::of(row, table))).collect()
    }
}

/// A list as one parameter, for `json_each`.
fn list(texts: impl Iterator<Item = String>) -> String {
    serde_json::Value::from(texts.collect::<Vec<_>>()).to_string()
}

fn cell<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(row: &'r SqliteRow, column: &str) -> Result<Option<T>, String> {
    // The library's own words repeat the column's name, which whoever hears of it knows.
    row.try_get(column).map_err(|error| error.source().map_or_else(|| error.to_string(), ToString::to_string))
}

impl Cells for SqliteRow {
    fn text(&self, column: &str) -> Result<Option<&str>, String> {
        cell(self, column)
    }

    /// In the one form that is ever written: lower case, with dashes.
    fn id(&self, column: &str) -> Result<Option<Uuid>, String> {
        let Some(text) = cell::<&str>(self, column)? else { return Ok(None) };
        let id = text.parse::<Uuid>().ok().filter(|id| id.to_string() == text);
        id.map(Some).ok_or_else(|| format!("{text:?} is no UUID"))
    }

    fn number(&self, column: &str) -> Result<Option<i64>, String> {
        cell(self, column)
    }

    fn real(&self, column: &str) -> Result<Option<f64>, String> {
        cell(self, column)
    }

    fn flag(&self, column: &str) -> Result<Option<bool>, String> {
        match cell::<i64>(self, column)? {
            None => Ok(None),
            Some(0) => Ok(Some(false)),
            Some(1) => Ok(Some(true)),
            Some(other) => Err(format!("{other} is neither 0 nor 1")),
        }
    }

    fn time(&self, column: &str) -> Result<Option<Timestamp>, String> {
        Ok(cell(self, column)?.map(Timestamp::from_micros))
    }

    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, String> {
        cell(self, column)
    }

    fn json(&self, column: &str) -> Result<Option<&str>, String> {
        cell(self, column)
    }
}
