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
    before(now, DAY)
}

/// The oldest scaling decision that is kept although it changed nothing. The others are kept for ever.
pub(crate) fn oldest_hold(now: Timestamp) -> Timestamp {
    before(now, 7 * DAY)
}

/// So long before; the beginning of time where it would overflow.
pub(crate) fn before(now: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(by))
}
