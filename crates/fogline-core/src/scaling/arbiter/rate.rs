//! Step 6: no more than so much in a period, counted from the replicas at the period's start.
//!
//! Source: Kubernetes documentation, "Horizontal Pod Autoscaling", "Scaling policies".

use std::time::Duration;

use super::limits::Limits;
use crate::scaling::policy::{MaxChange, Span};
use crate::scaling::state::Change;
use crate::time::Timestamp;

/// Limits what is wanted.
pub(crate) fn apply(changes: &[Change], limits: &Limits, wanted: u32, current: u32, now: Timestamp) -> (u32, String) {
    let (rates, up) = if wanted > current { (&limits.up_rates, true) } else { (&limits.down_rates, false) };
    let mut limited = (wanted, String::new());
    for (change, period) in rates {
        let start = at_start(changes, current, *period, now);
        let most = if up { most(*change, start).max(current) } else { least(*change, start).min(current) };
        if (up && most < limited.0) || (!up && most > limited.0) {
            let word = if up { "added" } else { "taken away" };
            limited = (most, format!("at most {} may be {word} in {}", words(*change), Span(*period)));
        }
    }
    limited
}

fn at_start(changes: &[Change], current: u32, period: Duration, now: Timestamp) -> u32 {
    changes.iter().find(|change| now.since(change.at) < period).map_or(current, |change| change.from)
}

fn most(change: MaxChange, start: u32) -> u32 {
    let by_count = change.replicas.map_or(start, |replicas| start.saturating_add(replicas));
    let by_percent = change
        .percent
        .map_or(start, |percent| crate::scaling::strategy::ceil(f64::from(start) * (1.0 + percent / 100.0)));
    by_count.max(by_percent)
}

fn least(change: MaxChange, start: u32) -> u32 {
    let by_count = change.replicas.map_or(start, |replicas| start.saturating_sub(replicas));
    let by_percent =
        change.percent.map_or(start, |percent| (f64::from(start) * (1.0 - percent / 100.0)).max(0.0) as u32);
    by_count.min(by_percent)
}

fn words(change: MaxChange) -> String {
    match (change.replicas, change.percent) {
        (None, None) => "none".to_owned(),
        (Some(replicas), None) => format!("{replicas} replicas"),
        (None, Some(percent)) => format!("{percent} %"),
        (Some(replicas), Some(percent)) => format!("the larger of {replicas} replicas and {percent} %"),
    }
}
