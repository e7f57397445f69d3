//! Rows as one array a column, in the binary form of PostgreSQL (`array_recv` in its sources).

use fogline_core::time::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::types::Uuid;
use sqlx::{Encode, Postgres, Type};

use crate::postgres::time::Moment;
use crate::table::{Record, Values};

/// One array, its elements already as they are sent.
pub(super) struct Array {
    /// The types of an element and of the whole, which are the same in every database.
    element: u32,
    array: u32,
    count: i32,
    bytes: Vec<u8>,
}

impl Array {
    pub(super) const IDS: Self = Self::of(2950, 2951);
    pub(super) const TEXTS: Self = Self::of(25, 1009);
    pub(super) const NUMBERS: Self = Self::of(20, 1016);
    const REALS: Self = Self::of(701, 1022);
    const FLAGS: Self = Self::of(16, 1000);
    const TIMES: Self = Self::of(1184, 1185);
    const BYTES: Self = Self::of(17, 1001);

    const fn of(element: u32, array: u32) -> Self {
        Self { element, array, count: 0, bytes: Vec::new() }
    }

    /// One more element, or NULL.
    pub(super) fn push(&mut self, value: Option<&[u8]>) {
        self.count += 1;
        match value {
            Some(value) => {
                let length = i32::try_from(value.len()).expect("no value of a record is larger than a request");
                self.bytes.extend_from_slice(&length.to_be_bytes());
                self.bytes.extend_from_slice(value);
            }
            None => self.bytes.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Type<Postgres> for Array {
    /// Never asked for: each array says its own.
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(Self::TEXTS.array))
    }
}

impl Encode<'_, Postgres> for Array {
    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(self.array)))
    }

    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let dimensions = 1_i32;
        let may_hold_null = 1_i32;
        let first = 1_i32;
        buffer.extend_from_slice(&dimensions.to_be_bytes());
        buffer.extend_from_slice(&may_hold_null.to_be_bytes());
        buffer.extend_from_slice(&self.element.to_be_bytes());
        buffer.extend_from_slice(&self.count.to_be_bytes());
        buffer.extend_from_slice(&first.to_be_bytes());
        buffer.extend_from_slice(&self.bytes);
        Ok(IsNull::No)
    }
}

/// The columns of some rows of one table. What a column is made of shows with the first row.
#[derive(Default)]
pub(super) struct Arrays {
    columns: Vec<Array>,
    /// The column whose value comes next.
    at: usize,
}

impl Arrays {
    pub(super) fn row<R: Record>(&mut self, row: &R) {
        self.at = 0;
        row.values(self);
        debug_assert_eq!(self.at, R::TABLE.columns.len(), "a value for each column of {}", R::TABLE.name);
    }

    pub(super) fn columns(self) -> impl Iterator<Item = Array> {
        self.columns.into_iter()
    }

    fn push(&mut self, kind: Array, value: Option<&[u8]>) {
        if self.at == self.columns.len() {
            self.columns.push(kind);
        }
        self.columns[self.at].push(value);
        self.at += 1;
    }
}

impl Values for Arrays {
    /// A document too, and a word of an enum: the table's type says what the text becomes.
    fn optional_text(&mut self, text: Option<&str>) {
        self.push(Array::TEXTS, text.map(str::as_bytes));
    }

    fn optional_id(&mut self, id: Option<Uuid>) {
        self.push(Array::IDS, id.as_ref().map(|id| id.as_bytes().as_slice()));
    }

    fn optional_number(&mut self, number: Option<impl Into<i64>>) {
        self.push(Array::NUMBERS, number.map(|number| number.into().to_be_bytes()).as_ref().map(<[u8; 8]>::as_slice));
    }

    fn real(&mut self, number: f64) {
        self.push(Array::REALS, Some(&number.to_be_bytes()));
    }

    fn flag(&mut self, flag: bool) {
        self.push(Array::FLAGS, Some(&[u8::from(flag)]));
    }

    fn optional_time(&mut self, time: Option<Timestamp>) {
        self.push(Array::TIMES, time.map(Moment::to_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }

    fn hash(&mut self, hash: &[u8; 32]) {
        self.push(Array::BYTES, Some(hash));
    }
}
