//! How long things are kept that are kept only for a while.

use std::time::Duration;

use fogline_core::time::Timestamp;

/// Ended replicas that each deployment keeps.
pub(crate) const KEPT_REPLICAS: i64 = 50;

/// Rows a transaction, so that a commit waits a few milliseconds at most.
pub(crate) const STEP_ROWS: i64 = 500;

const KEY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The oldest idempotency key that is kept.
pub(crate) fn oldest_key(now: Timestamp) -> Timestamp {
    let lifetime = i64::try_from(KEY_LIFETIME.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(lifetime))
}
