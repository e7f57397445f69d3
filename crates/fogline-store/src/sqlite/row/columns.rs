//! One row's columns, each read as exactly what it was written as.

use std::fmt::Display;
use std::str::FromStr;

use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::time::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};

use crate::error::StoreError;

/// A row of a table.
pub(in crate::sqlite) struct Columns<'r> {
    row: &'r SqliteRow,
    table: &'static str,
}

impl<'r> Columns<'r> {
    pub(in crate::sqlite) const fn of(row: &'r SqliteRow, table: &'static str) -> Self {
        Self { row, table }
    }

    /// Says that a column holds what it must not.
    pub(super) fn damaged(&self, column: &'static str, detail: impl Display) -> StoreError {
        let keys = ["id", "user_id", "deployment_id", "key", "revision"];
        let key = |name: &str| {
            let text = self.row.try_get::<String, _>(name).ok();
            text.or_else(|| self.row.try_get::<i64, _>(name).ok().map(|number| number.to_string()))
        };
        let row = key("id").unwrap_or_else(|| keys.into_iter().filter_map(key).collect::<Vec<_>>().join(" "));
        StoreError::Damaged { table: self.table, row, column, detail: detail.to_string() }
    }

    fn get<T: Decode<'r, Sqlite> + Type<Sqlite>>(&self, column: &'static str) -> Result<T, StoreError> {
        self.row.try_get(column).map_err(|error| self.damaged(column, error))
    }

    pub(super) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.get(column)
    }

    pub(super) fn optional_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        self.get(column)
    }

    /// A UUID in the one form that is ever written: lower case, with dashes.
    pub(super) fn id<T: FromStr + Display>(&self, column: &'static str) -> Result<T, StoreError> {
        let text: &str = self.get(column)?;
        self.parse_id(column, text)
    }

    pub(super) fn optional_id<T: FromStr + Display>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| self.parse_id(column, text)).transpose()
    }

    fn parse_id<T: FromStr + Display>(&self, column: &'static str, text: &str) -> Result<T, StoreError> {
        let id = text.parse::<T>().ok().filter(|id| id.to_string() == text);
        id.ok_or_else(|| self.damaged(column, format_args!("{text:?} is no UUID")))
    }

    pub(super) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        let number: i64 = self.get(column)?;
        self.narrow(column, number)
    }

    pub(super) fn optional_number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let number: Option<i64> = self.get(column)?;
        number.map(|number| self.narrow(column, number)).transpose()
    }

    fn narrow<T: TryFrom<i64>>(&self, column: &'static str, number: i64) -> Result<T, StoreError> {
        T::try_from(number).map_err(|_| self.damaged(column, format_args!("{number} is out of range")))
    }

    pub(super) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        match self.get::<i64>(column)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.damaged(column, format_args!("{other} is neither 0 nor 1"))),
        }
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.get(column).map(Timestamp::from_micros)
    }

    pub(super) fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        self.get::<Option<i64>>(column).map(|micros| micros.map(Timestamp::from_micros))
    }

    /// The four columns that say how much.
    pub(super) fn resources(&self) -> Result<Resources, StoreError> {
        let cores: f64 = self.get("cpu_cores")?;
        Ok(Resources {
            cpu_millis: CpuMillis::from_cores(cores).map_err(|error| self.damaged("cpu_cores", error))?,
            memory_mb: self.number("memory_mb")?,
            gpu_units: self.number("gpu_units")?,
            storage_gb: self.number("storage_gb")?,
        })
    }

    pub(super) fn hash(&self, column: &'static str) -> Result<[u8; 32], StoreError> {
        let bytes: &[u8] = self.get(column)?;
        bytes.try_into().map_err(|_| self.damaged(column, format_args!("{} bytes are no SHA-256", bytes.len())))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        let text: &str = self.get(column)?;
        serde_json::from_str(text).map_err(|error| self.damaged(column, error))
    }

    /// A word out of a closed set.
    pub(super) fn word<T>(
        &self,
        column: &'static str,
        meaning: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        let text: &str = self.get(column)?;
        meaning(text).ok_or_else(|| self.damaged(column, format_args!("{text:?} is no known word")))
    }
}
