//! The parameters of one statement, in the order of its columns.

use std::fmt::Display;
use std::sync::Arc;

use fogline_core::quantity::Resources;
use fogline_core::time::Timestamp;
use serde::Serialize;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Encode, Sqlite, Type};

/// See the module.
#[derive(Default)]
pub(super) struct Values(SqliteArguments);

impl Values {
    pub(super) fn reserve(&mut self, values: usize) {
        self.0.reserve(values, 0);
    }

    pub(super) fn into_arguments(self) -> SqliteArguments {
        self.0
    }

    fn push<'t>(&mut self, value: impl Encode<'t, Sqlite> + Type<Sqlite>) {
        self.0.add(value).expect("text, numbers and bytes are taken as they are");
    }

    pub(super) fn text(&mut self, text: &str) {
        self.push(text);
    }

    pub(super) fn optional_text(&mut self, text: Option<&str>) {
        self.push(text);
    }

    /// Text that is shared, so that it is not copied for each row.
    pub(super) fn shared(&mut self, text: Option<&Arc<str>>) {
        self.push(text.cloned());
    }

    pub(super) fn id(&mut self, id: impl Display) {
        self.push(id.to_string());
    }

    pub(super) fn optional_id(&mut self, id: Option<impl Display>) {
        self.push(id.map(|id| id.to_string()));
    }

    pub(super) fn number(&mut self, number: impl Into<i64>) {
        self.push(number.into());
    }

    pub(super) fn optional_number(&mut self, number: Option<impl Into<i64>>) {
        self.push(number.map(Into::into));
    }

    pub(super) fn time(&mut self, time: Timestamp) {
        self.push(time.as_micros());
    }

    pub(super) fn optional_time(&mut self, time: Option<Timestamp>) {
        self.push(time.map(Timestamp::as_micros));
    }

    pub(super) fn hash(&mut self, hash: &[u8; 32]) {
        self.push(hash.to_vec());
    }

    pub(super) fn json(&mut self, value: &impl Serialize) {
        self.push(serde_json::to_string(value).expect("records have text keys and finite numbers only"));
    }

    /// Four columns: cores, memory, GPUs, storage.
    pub(super) fn resources(&mut self, resources: Resources) {
        self.push(resources.cpu_millis.as_cores());
        self.number(resources.memory_mb);
        self.number(resources.gpu_units);
        self.number(resources.storage_gb);
    }
}
