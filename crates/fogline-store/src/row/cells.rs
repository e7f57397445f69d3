//! The values of one row, as a backend has them. What they mean is for [`super::Columns`].

use fogline_core::time::Timestamp;
use sqlx::types::Uuid;

/// A value, nothing where it is NULL, or what is there instead.
pub(crate) type Cell<T> = Result<Option<T>, String>;

/// One row. Each method reads a column as exactly what this backend writes for such a value.
pub(crate) trait Cells {
    /// Text, or a word of an enum.
    fn text(&self, column: &str) -> Cell<&str>;
    /// A UUID.
    fn id(&self, column: &str) -> Cell<Uuid>;
    /// A whole number.
    fn number(&self, column: &str) -> Cell<i64>;
    /// A real number.
    fn real(&self, column: &str) -> Cell<f64>;
    /// Yes or no.
    fn flag(&self, column: &str) -> Cell<bool>;
    /// A moment.
    fn time(&self, column: &str) -> Cell<Timestamp>;
    /// Bytes.
    fn bytes(&self, column: &str) -> Cell<&[u8]>;
    /// A JSON document, as text.
    fn json(&self, column: &str) -> Cell<&str>;
}
