//! How long to wait after a crash, and when to give up.
//!
//! Invariant: the pause never shrinks while a replica keeps crashing, and never exceeds [`LONGEST_PAUSE_US`]. Tests:
//! below.

use serde::{Deserialize, Serialize};

/// Pause before the first restart.
pub const FIRST_PAUSE_US: u64 = 200_000;
/// Longest pause before a restart.
pub const LONGEST_PAUSE_US: u64 = 60_000_000;
/// Being ready for so long makes the next pause the first one again.
pub const PAUSE_FORGOTTEN_AFTER_US: u64 = 60_000_000;
/// So many crashes, none of them after [`STEADY_AFTER_US`] of being ready, are a crash loop.
pub const CRASH_LOOP: u32 = 6;
/// Being ready for so long makes the next crash the first one again.
pub const STEADY_AFTER_US: u64 = 10_000_000;

/// The crashes of one replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Crashes {
    /// Since it was last steady.
    pub in_a_row: u32,
    /// Since its pauses were last forgotten.
    pub pauses: u32,
}

/// What follows from a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Start it again after so long.
    RestartAfter(u64),
    /// It will not get better here.
    GiveUp,
}

impl Crashes {
    /// Notes one more.
    pub fn note(&mut self) -> Verdict {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row >= CRASH_LOOP {
            return Verdict::GiveUp;
        }
        let doubled = FIRST_PAUSE_US.checked_shl(self.pauses.min(32)).unwrap_or(LONGEST_PAUSE_US);
        self.pauses = self.pauses.saturating_add(1);
        Verdict::RestartAfter(doubled.min(LONGEST_PAUSE_US))
    }

    /// The replica has been ready for so long without a break.
    pub const fn ready_for(&mut self, ready_us: u64) {
        if ready_us >= STEADY_AFTER_US {
            self.in_a_row = 0;
        }
        if ready_us >= PAUSE_FORGOTTEN_AFTER_US {
            self.pauses = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut crashes = Crashes::default();
        let mut pauses_ms = Vec::new();
        for _ in 0..11 {
            crashes.ready_for(STEADY_AFTER_US);
            let Verdict::RestartAfter(pause_us) = crashes.note() else { panic!("gave up a replica that was steady") };
            pauses_ms.push(pause_us / 1_000);
        }
        assert_eq!(pauses_ms, [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000, 60_000]);
        crashes.ready_for(PAUSE_FORGOTTEN_AFTER_US);
        assert_eq!(crashes.note(), Verdict::RestartAfter(FIRST_PAUSE_US));
    }

    #[test]
    fn six_crashes_without_a_steady_stretch_are_a_loop() {
        let mut crashes = Crashes::default();
        for _ in 1..CRASH_LOOP {
            crashes.ready_for(STEADY_AFTER_US - 1);
            assert!(matches!(crashes.note(), Verdict::RestartAfter(_)));
        }
        assert_eq!(crashes.note(), Verdict::GiveUp);
    }

    #[test]
    fn no_number_of_crashes_overflows() {
        let mut crashes = Crashes { in_a_row: 0, pauses: u32::MAX };
        assert_eq!(crashes.note(), Verdict::RestartAfter(LONGEST_PAUSE_US));
    }
}
