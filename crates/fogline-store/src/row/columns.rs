//! One row's columns, each read as exactly what it was written as.

use std::fmt::Display;
use std::str::FromStr;

use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::time::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::types::Uuid;

use super::cells::{Cell, Cells};
use crate::error::StoreError;

/// A row of a table.
pub(crate) struct Columns<'r> {
    cells: &'r dyn Cells,
    table: &'static str,
}

impl<'r> Columns<'r> {
    pub(crate) const fn of(cells: &'r dyn Cells, table: &'static str) -> Self {
        Self { cells, table }
    }

    /// Says that a column holds what it must not.
    pub(super) fn damaged(&self, column: &'static str, detail: impl Display) -> StoreError {
        let keys = ["id", "user_id", "deployment_id", "policy_id", "target", "key", "revision", "version"];
        let row = self
            .key("id")
            .unwrap_or_else(|| keys.into_iter().filter_map(|key| self.key(key)).collect::<Vec<_>>().join(" "));
        StoreError::Damaged { table: self.table, row, column, detail: detail.to_string() }
    }

    /// A part of the row's key, in whatever form it is there.
    fn key(&self, column: &str) -> Option<String> {
        let id = self.cells.id(column).ok().flatten().map(|id| id.to_string());
        let text = || Some(self.cells.text(column).ok()??.to_owned());
        let number = || Some(self.cells.number(column).ok()??.to_string());
        id.or_else(text).or_else(number)
    }

    fn optional<T>(&self, column: &'static str, cell: Cell<T>) -> Result<Option<T>, StoreError> {
        cell.map_err(|detail| self.damaged(column, detail))
    }

    fn required<T>(&self, column: &'static str, cell: Cell<T>) -> Result<T, StoreError> {
        self.optional(column, cell)?.ok_or_else(|| self.damaged(column, "it is NULL"))
    }

    pub(super) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.required(column, self.cells.text(column)).map(str::to_owned)
    }

    pub(super) fn optional_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        Ok(self.optional(column, self.cells.text(column))?.map(str::to_owned))
    }

    /// Text of a form of its own.
    pub(super) fn optional_parsed<T: FromStr<Err: Display>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text = self.optional(column, self.cells.text(column))?;
        text.map(|text| text.parse().map_err(|error| self.damaged(column, error))).transpose()
    }

    /// Text of a form of its own that is there.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<T, StoreError> {
        self.optional_parsed(column)?.ok_or_else(|| self.damaged(column, "it is NULL"))
    }

    pub(super) fn id<T>(&self, column: &'static str, of: fn(Uuid) -> T) -> Result<T, StoreError> {
        self.required(column, self.cells.id(column)).map(of)
    }

    pub(super) fn optional_id<T>(&self, column: &'static str, of: fn(Uuid) -> T) -> Result<Option<T>, StoreError> {
        Ok(self.optional(column, self.cells.id(column))?.map(of))
    }

    pub(crate) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        let number = self.required(column, self.cells.number(column))?;
        self.narrow(column, number)
    }

    pub(super) fn optional_number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let number = self.optional(column, self.cells.number(column))?;
        number.map(|number| self.narrow(column, number)).transpose()
    }

    fn narrow<T: TryFrom<i64>>(&self, column: &'static str, number: i64) -> Result<T, StoreError> {
        T::try_from(number).map_err(|_| self.damaged(column, format_args!("{number} is out of range")))
    }

    pub(super) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        self.required(column, self.cells.flag(column))
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.required(column, self.cells.time(column))
    }

    pub(super) fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        self.optional(column, self.cells.time(column))
    }

    /// The four columns that say how much.
    pub(super) fn resources(&self) -> Result<Resources, StoreError> {
        let cores = self.required("cpu_cores", self.cells.real("cpu_cores"))?;
        Ok(Resources {
            cpu_millis: CpuMillis::from_cores(cores).map_err(|error| self.damaged("cpu_cores", error))?,
            memory_mb: self.number("memory_mb")?,
            gpu_units: self.number("gpu_units")?,
            storage_gb: self.number("storage_gb")?,
        })
    }

    pub(super) fn hash(&self, column: &'static str) -> Result<[u8; 32], StoreError> {
        let bytes = self.required(column, self.cells.bytes(column))?;
        bytes.try_into().map_err(|_| self.damaged(column, format_args!("{} bytes are no SHA-256", bytes.len())))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        let text = self.required(column, self.cells.json(column))?;
        serde_json::from_str(text).map_err(|error| self.damaged(column, error))
    }

    /// A word out of a closed set.
    pub(crate) fn word<T>(
        &self,
        column: &'static str,
        meaning: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        let text = self.required(column, self.cells.text(column))?;
        meaning(text).ok_or_else(|| self.damaged(column, format_args!("{text:?} is no known word")))
    }
}
