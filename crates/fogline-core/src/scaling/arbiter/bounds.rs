//! Step 9: `min_replicas` and `max_replicas`, narrowed by an open window; and zero.
//!
//! Always enforced. Invariant: the count that leaves here is within the bounds, or it is 0 and the target may sleep.

use super::limits::Limits;
use crate::scaling::policy::WindowMode;
use crate::scaling::strategy::idle::Idleness;
use crate::scaling::strategy::moment;
use crate::scaling::strategy::schedule::{OpenWindow, words};

/// What may set zero.
pub(crate) enum Zero {
    /// Nothing does.
    No,
    /// The target is idle, for this reason.
    Idle(String),
    /// It sleeps already, and nobody woke it.
    Asleep,
}

impl Zero {
    /// Idleness sets zero where nothing else was commanded.
    pub(crate) fn of(idleness: &Idleness, limits: &Limits, current: u32, commanded: bool) -> Self {
        if !limits.scale_to_zero || commanded {
            return Self::No;
        }
        match idleness {
            _ if current == 0 => Self::Asleep,
            Idleness::Idle(why) => Self::Idle(why.clone()),
            _ => Self::No,
        }
    }
}

/// Brings the count within the bounds.
pub(crate) fn apply(limits: &Limits, window: Option<OpenWindow>, zero: &Zero, wanted: u32) -> (u32, String) {
    match zero {
        Zero::Idle(why) => return (0, why.clone()),
        Zero::Asleep => return (0, String::new()),
        Zero::No => {}
    }
    // Only idleness sets zero.
    let (min, max) = (limits.min.max(1), limits.max);
    let (mut least, mut most) = (min, max);
    let mut narrowed = String::new();
    if let Some(window) = window {
        let desired = window.desired.clamp(min, max);
        if window.mode != WindowMode::Max {
            least = desired;
        }
        if window.mode != WindowMode::Min {
            most = desired;
        }
        narrowed = format!(", the window until {} wants {} {desired}", moment(window.end), words(window.mode));
    }
    let bounded = wanted.clamp(least, most);
    let note = match bounded.cmp(&wanted) {
        std::cmp::Ordering::Equal => String::new(),
        std::cmp::Ordering::Greater => format!("at least {least} are asked for{narrowed}"),
        std::cmp::Ordering::Less => format!("at most {most} are allowed{narrowed}"),
    };
    (bounded, note)
}
