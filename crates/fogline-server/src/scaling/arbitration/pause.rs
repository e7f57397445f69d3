//! No further try to change a count that could not be changed a moment ago.
//!
//! By direction, for the count that is wanted may be another one every time. Invariant: only a change that came about
//! ends a pause before its time.

use std::time::Duration;

use fogline_core::time::Timestamp;

/// After a change that was not carried out the next try waits this long, then twice as long, and so on
const FIRST: Duration = Duration::from_secs(15);
/// up to this.
const LONGEST: Duration = Duration::from_secs(300);

/// What was tried in vain.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Pauses {
    up: Option<Pause>,
    down: Option<Pause>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Timestamp,
    tries: u32,
}

impl Pauses {
    /// To go from one count to another was in vain.
    pub(super) fn failed(&mut self, from: u32, to: u32, now: Timestamp) {
        if from == to {
            return;
        }
        let pause = if to > from { &mut self.up } else { &mut self.down };
        let tries = pause.map_or(0, |before| before.tries);
        let wait = FIRST.saturating_mul(1 << tries.min(10)).min(LONGEST);
        *pause = Some(Pause { until: now.plus(wait), tries: tries.saturating_add(1) });
    }

    /// Whether it is not to be tried now.
    pub(super) fn hold(&self, from: u32, to: u32, now: Timestamp) -> bool {
        let pause = if to > from { self.up } else { self.down };
        pause.is_some_and(|pause| now < pause.until)
    }

    /// A change was carried out.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
