//! Why a request is not passed on: what its client is told. It never names an inner address.

use std::borrow::Cow;

/// Why a request is not passed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// In a sentence, for the client.
    pub reason: Cow<'static, str>,
    /// Seconds after which a retry makes sense.
    pub retry_after_s: u64,
}

impl Refusal {
    /// With a retry in a second.
    pub(crate) fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), retry_after_s: 1 }
    }

    /// With a retry after so many seconds.
    pub(crate) fn after(self, retry_after_s: u64) -> Self {
        Self { retry_after_s, ..self }
    }
}
