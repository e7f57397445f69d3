//! What a backend is given for the columns of a row, one call a column.

use std::sync::Arc;

use fogline_core::quantity::Resources;
use fogline_core::time::Timestamp;
use serde::Serialize;
use sqlx::types::Uuid;

/// See the module.
pub(crate) trait Values {
    /// Text, or a word of an enum.
    fn optional_text(&mut self, text: Option<&str>);
    /// A UUID.
    fn optional_id(&mut self, id: Option<Uuid>);
    /// A whole number.
    fn optional_number(&mut self, number: Option<impl Into<i64>>);
    /// A real number.
    fn real(&mut self, number: f64);
    /// Yes or no.
    fn flag(&mut self, flag: bool);
    /// A moment.
    fn optional_time(&mut self, time: Option<Timestamp>);
    /// Bytes.
    fn hash(&mut self, hash: &[u8; 32]);

    /// Text that is there.
    fn text(&mut self, text: &str) {
        self.optional_text(Some(text));
    }

    /// Text that is shared, so that a backend which keeps it need not copy it.
    fn shared(&mut self, text: Option<&Arc<str>>) {
        self.optional_text(text.map(AsRef::as_ref));
    }

    /// A UUID that is there.
    fn id(&mut self, id: Uuid) {
        self.optional_id(Some(id));
    }

    /// A whole number that is there.
    fn number(&mut self, number: impl Into<i64>) {
        self.optional_number(Some(number));
    }

    /// A moment that is there.
    fn time(&mut self, time: Timestamp) {
        self.optional_time(Some(time));
    }

    /// A document.
    fn json(&mut self, value: &impl Serialize) {
        self.text(&serde_json::to_string(value).expect("records have text keys and finite numbers only"));
    }

    /// Four columns: cores, memory, GPUs, storage.
    fn resources(&mut self, resources: Resources) {
        self.real(resources.cpu_millis.as_cores());
        self.number(resources.memory_mb);
        self.number(resources.gpu_units);
        self.number(resources.storage_gb);
    }
}
