//! Guard: the engine stops only so many replicas a minute, so that a lie of a metric costs a part, not the whole.
//!
//! At least one, so that it never stands still. What a person, a schedule or true idleness sets is not the engine's
//! judgement of a metric, and passes.

use std::time::Duration;

use super::limits::Limits;
use crate::scaling::state::Change;
use crate::time::Timestamp;

/// The period that is counted.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Limits a scale-down.
pub(crate) fn apply(changes: &[Change], limits: &Limits, wanted: u32, current: u32, now: Timestamp) -> (u32, String) {
    if wanted >= current {
        return (wanted, String::new());
    }
    let lately = || changes.iter().filter(|change| now.since(change.at) < MINUTE);
    let stopped: u32 = lately().map(|change| change.from.saturating_sub(change.to)).sum();
    let start = lately().next().map_or(current, |change| change.from).max(current);
    let allowed = ((f64::from(start) * limits.max_terminations / 100.0 + 1e-9) as u32).max(1);
    let least = current.saturating_sub(allowed.saturating_sub(stopped));
    if wanted >= least {
        return (wanted, String::new());
    }
    (least, format!("at most {allowed} of {start} replicas may be stopped in a minute"))
}
