//! Step 5: the lowest recommendation of the last while on the way up, the highest on the way down.
//!
//! On raw recommendations, before rate limits. Source: Kubernetes documentation, "Horizontal Pod Autoscaling",
//! "Stabilization window".

use super::limits::Limits;
use crate::scaling::policy::Span;
use crate::scaling::window::RecommendationWindow;
use crate::time::Timestamp;

/// Brings what is wanted within what was recommended lately.
pub(crate) fn apply(
    window: &RecommendationWindow,
    limits: &Limits,
    wanted: u32,
    urgent: bool,
    current: u32,
    now: Timestamp,
) -> (u32, String) {
    let lowest = window.lowest(now, limits.up_stabilization).unwrap_or(wanted);
    let highest = window.highest(now, limits.down_stabilization).unwrap_or(wanted);
    let lowest = if urgent { wanted } else { lowest };
    let stable = current.max(lowest).min(highest);
    // A panic acts at once, also where the window would still hold it.
    let stable = if urgent && wanted > current { wanted } else { stable };
    if stable == wanted {
        return (stable, String::new());
    }
    let (which, span) =
        if wanted > current { ("lowest", limits.up_stabilization) } else { ("highest", limits.down_stabilization) };
    let bound = if wanted > current { lowest } else { highest };
    (stable, format!("the {which} recommendation of the last {} is {bound}", Span(span)))
}
