//! How long things are kept that are kept only for a while.

use std::time::Duration;

use fogline_core::time::Timestamp;

/// Ended replicas that each deployment keeps.
pub(crate) const KEPT_REPLICAS: i64 = 50;

/// Versions that each policy keeps: what it says now is the latest of them.
pub(crate) const KEPT_VERSIONS: i64 = 100;

/// Rows a transaction, so that a commit waits a few milliseconds at most.
pub(crate) const STEP_ROWS: i64 = 500;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The oldest idempotency key that is kept.
pub(crate) fn oldest_key(now: Timestamp) -> Timestamp {
    now.minus(DAY)
}

/// The oldest scaling decision that is kept although it changed nothing. The others are kept for ever.
pub(crate) fn oldest_hold(now: Timestamp) -> Timestamp {
    now.minus(7 * DAY)
}
