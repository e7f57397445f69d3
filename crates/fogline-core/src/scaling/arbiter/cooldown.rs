//! Step 7: not so soon after the last change.
//!
//! Up counts from the last up, down from the last change of either kind. A panic ignores it.

use super::limits::Limits;
use crate::scaling::policy::Span;
use crate::scaling::state::Memory;
use crate::scaling::strategy::moment;
use crate::time::Timestamp;

/// Holds what comes too soon.
pub(crate) fn apply(
    memory: &Memory,
    limits: &Limits,
    wanted: u32,
    urgent: bool,
    current: u32,
    now: Timestamp,
) -> (u32, String) {
    if wanted == current || (urgent && wanted > current) {
        return (wanted, String::new());
    }
    let (name, last, cooldown) = if wanted > current {
        ("scale-up", memory.last_up, limits.up_cooldown)
    } else {
        ("scale-down", memory.last_change, limits.down_cooldown)
    };
    match last {
        Some(last) if now.since(last) < cooldown => {
            let note = format!("the {name} cooldown of {} lasts until {}", Span(cooldown), moment(last.plus(cooldown)));
            (current, note)
        }
        _ => (wanted, String::new()),
    }
}
