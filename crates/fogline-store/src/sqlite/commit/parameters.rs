//! The parameters of one statement, in the order of its columns.

use std::sync::Arc;

use fogline_core::time::Timestamp;
use sqlx::sqlite::SqliteArguments;
use sqlx::types::Uuid;
use sqlx::{Arguments, Encode, Sqlite, Type};

use crate::table::Values;

/// See the module.
#[derive(Default)]
pub(super) struct Parameters(SqliteArguments);

impl Parameters {
    pub(super) fn reserve(&mut self, values: usize) {
        self.0.reserve(values, 0);
    }

    pub(super) fn into_arguments(self) -> SqliteArguments {
        self.0
    }

    fn push<'t>(&mut self, value: impl Encode<'t, Sqlite> + Type<Sqlite>) {
        self.0.add(value).expect("text, numbers and bytes are taken as they are");
    }
}

impl Values for Parameters {
    fn optional_text(&mut self, text: Option<&str>) {
        self.push(text);
    }

    fn shared(&mut self, text: Option<&Arc<str>>) {
        self.push(text.cloned());
    }

    fn optional_id(&mut self, id: Option<Uuid>) {
        self.push(id.map(|id| id.to_string()));
    }

    fn optional_number(&mut self, number: Option<impl Into<i64>>) {
        self.push(number.map(Into::into));
    }

    fn real(&mut self, number: f64) {
        self.push(number);
    }

    fn flag(&mut self, flag: bool) {
        self.push(flag);
    }

    fn optional_time(&mut self, time: Option<Timestamp>) {
        self.push(time.map(Timestamp::as_micros));
    }

    fn hash(&mut self, hash: &[u8; 32]) {
        self.push(hash.to_vec());
    }
}
