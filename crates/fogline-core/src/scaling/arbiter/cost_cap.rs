//! Step 8: growth stops at what the cap pays for.
//!
//! Must never force a scale-down, and never stop the replacement of a lost replica: both are about the count there is.

use super::limits::Limits;

/// Caps growth.
pub(crate) fn apply(limits: &Limits, replica_hourly_cost: Option<f64>, wanted: u32, current: u32) -> (u32, String) {
    let Some(cap) = limits.max_hourly_cost.filter(|_| wanted > current) else { return (wanted, String::new()) };
    let Some(price) = limits.replica_hourly_cost.or(replica_hourly_cost).filter(|price| *price > 0.0) else {
        return (wanted, format!("the cap of {cap:.2}/h cannot be applied: nobody says what a replica costs"));
    };
    let affordable = (cap / price + 1e-9).floor() as u32;
    let capped = wanted.min(affordable.max(current));
    if capped == wanted {
        return (wanted, String::new());
    }
    (capped, format!("wanted {wanted}, capped at {capped} by {cap:.2}/h"))
}
