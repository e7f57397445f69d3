//! The server's clock: steady, so that one value serves both for rows that people read and for time-outs.
//!
//! It starts at the wall clock and goes on by the time since boot, sleep included. Where the wall clock disagrees later
//! (somebody set it, a leap second, drift), it is slewed towards it and never stepped. Invariant: two readings are
//! never further apart than the time that passed plus or minus [`SLEW_DIVISOR`]'s share of it, and never go back.
//! The only file of this crate that may read a clock. Tests: below.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fogline_core::time::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// The clock runs at most one part in this many faster or slower than time itself: 50 ms a second.
///
/// Time-outs are counted on this clock, so the rate is the error of every one of them while it is being corrected. At
/// 5 % a node time-out of 12 s takes 11.4 to 12.6 s: still more than three heartbeats of 3 s, and still within the 15 s
/// in which a dead node must be noticed. A leap second is gone after 20 s, a step of an hour after 20 hours. Nothing
/// needs it faster: a person who reads a row that is minutes off is puzzled, a cluster whose time-outs fire early is
/// hurt. Drift of a clock crystal is thousands of times smaller than the rate.
const SLEW_DIVISOR: i64 = 20;

/// How often the wall clock is asked again.
const RESAMPLE_US: i64 = 1_000_000;

/// One reading of the two clocks beneath, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Reading {
    /// Since the machine was started, sleep included. Never steps.
    boot_us: i64,
    /// Since 1970, as far as the machine knows. May step either way.
    wall_us: i64,
}

/// The arithmetic, without any clock.
#[derive(Clone, Copy, Debug)]
struct Steady {
    /// Where the present stretch began: time since boot, and this clock then.
    boot_us: i64,
    at_us: i64,
    /// How far the wall clock was ahead of this clock then.
    behind_us: i64,
}

impl Steady {
    const fn new(reading: Reading) -> Self {
        Self { boot_us: reading.boot_us, at_us: reading.wall_us, behind_us: 0 }
    }

    /// What this clock says at a time since boot, within the present stretch.
    fn at(&self, boot_us: i64) -> i64 {
        let passed = boot_us.saturating_sub(self.boot_us).max(0);
        let most = passed / SLEW_DIVISOR;
        self.at_us.saturating_add(passed).saturating_add(self.behind_us.clamp(-most, most))
    }

    fn now(&mut self, reading: Reading) -> i64 {
        let now_us = self.at(reading.boot_us);
        if reading.boot_us.saturating_sub(self.boot_us) >= RESAMPLE_US {
            *self = Self { boot_us: reading.boot_us, at_us: now_us, behind_us: reading.wall_us.saturating_sub(now_us) };
        }
        now_us
    }
}

/// Where readings come from.
#[derive(Debug)]
enum Source {
    /// The machine.
    System,
    /// A test or a simulation, which moves both clocks by hand.
    ByHand(AtomicI64),
}

impl Source {
    fn read(&self) -> Reading {
        match self {
            Self::System => Reading { boot_us: micros_of(ClockId::Boottime), wall_us: micros_of(ClockId::Realtime) },
            Self::ByHand(at) => {
                let us = at.load(Ordering::SeqCst);
                Reading { boot_us: us, wall_us: us }
            }
        }
    }
}

fn micros_of(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000)
}

/// The steady clock. Cheap to clone; all clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Arc<Source>,
    steady: Arc<Mutex<Steady>>,
}

impl Clock {
    /// The machine's clock, right at this moment.
    #[must_use]
    pub fn system() -> Self {
        Self::from_source(Source::System)
    }

    /// A clock that stands still until [`Self::advance`] moves it. For tests and simulations.
    #[must_use]
    pub fn by_hand(start: Timestamp) -> Self {
        Self::from_source(Source::ByHand(AtomicI64::new(start.as_micros())))
    }

    fn from_source(source: Source) -> Self {
        let steady = Steady::new(source.read());
        Self { source: Arc::new(source), steady: Arc::new(Mutex::new(steady)) }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        // Nothing in the lock can panic half-way, so a poisoned lock still holds a whole value.
        let mut steady = self.steady.lock().unwrap_or_else(PoisonError::into_inner);
        Timestamp::from_micros(steady.now(self.source.read()))
    }

    /// Time since the machine was started, sleep included. Never steps, never slewed: what a lease is counted by.
    #[must_use]
    pub fn since_boot(&self) -> Duration {
        Duration::from_micros(self.source.read().boot_us.unsigned_abs())
    }

    /// Moves a clock made by [`Self::by_hand`]; does nothing to the machine's.
    pub fn advance(&self, by: Duration) {
        if let Source::ByHand(at) = &*self.source {
            at.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// Starts no earlier than `latest`, the newest time in the rows: a machine without a battery clock begins in 1970,
    /// and one whose clock was set back would make replicas that look older than those they replace. The difference is
    /// slewed away like any other. For the start: later it does nothing, since no row is newer than the clock then.
    pub(crate) fn start_no_earlier_than(&self, latest: Timestamp) {
        let mut steady = self.steady.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = self.source.read();
        let now_us = steady.at(reading.boot_us).max(latest.as_micros());
        *steady = Steady { boot_us: reading.boot_us, at_us: now_us, behind_us: reading.wall_us.saturating_sub(now_us) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const HOUR: i64 = 3_600 * SECOND;
    const START: i64 = 1_764_064_800 * SECOND;

    /// Runs the clock for `seconds` in steps of a tenth, the wall being `wall_minus_boot(t)` ahead of the time since
    /// boot; checks on the way that it never goes back and never strays from the rate. Returns clock and wall at the end.
    fn run(steady: &mut Steady, from_s: i64, seconds: i64, wall_minus_boot: impl Fn(i64) -> i64) -> (i64, i64) {
        let mut last: Option<(i64, i64)> = None;
        let mut end = (0, 0);
        for tenth in 0..=seconds * 10 {
            let boot_us = from_s * SECOND + tenth * SECOND / 10;
            let reading = Reading { boot_us, wall_us: boot_us + wall_minus_boot(boot_us) };
            let now = steady.now(reading);
            if let Some((last_boot, last_now)) = last {
                let (passed, told) = (boot_us - last_boot, now - last_now);
                assert!(told >= 0, "went back by {told} µs");
                assert!((told - passed).abs() <= passed / SLEW_DIVISOR + 1, "told {told} µs where {passed} µs passed");
            }
            last = Some((boot_us, now));
            end = (now, reading.wall_us);
        }
        end
    }

    fn started() -> Steady {
        Steady::new(Reading { boot_us: 0, wall_us: START })
    }

    #[test]
    fn follows_a_wall_clock_that_agrees_exactly() {
        let (now, wall) = run(&mut started(), 0, 60, |_| START);
        assert_eq!(now, wall);
    }

    #[test]
    fn a_step_of_an_hour_either_way_is_slewed_and_expires_nothing_early() {
        for step in [HOUR, -HOUR] {
            let mut steady = started();
            run(&mut steady, 0, 10, |_| START);
            let before = steady.now(Reading { boot_us: 10 * SECOND, wall_us: START + 10 * SECOND });
            let (after, _) = run(&mut steady, 10, 12, |_| START + step);
            let told = after - before;
            assert!((told - 12 * SECOND).abs() <= 12 * SECOND / SLEW_DIVISOR + 1, "12 s were told as {told} µs");
            let (now, wall) = run(&mut steady, 22, 21 * 3_600, |_| START + step);
            assert_eq!(now, wall, "an hour is made up within 21 hours");
        }
    }

    #[test]
    fn a_leap_second_is_gone_soon() {
        let mut steady = started();
        run(&mut steady, 0, 10, |_| START);
        let (now, wall) = run(&mut steady, 10, 22, |_| START - SECOND);
        assert_eq!(now, wall);
    }

    #[test]
    fn drift_is_followed() {
        // 200 parts in a million, worse than any machine's crystal.
        let (now, wall) = run(&mut started(), 0, 3_600, |boot_us| START + boot_us / 5_000);
        assert!((now - wall).abs() < 1_000, "{} µs off", now - wall);
    }

    #[test]
    fn a_long_sleep_counts_as_time_passed() {
        let mut steady = started();
        run(&mut steady, 0, 10, |_| START);
        let now = steady.now(Reading { boot_us: HOUR, wall_us: START + HOUR });
        assert_eq!(now, START + HOUR);
    }

    #[test]
    fn a_machine_that_begins_in_1970_goes_on_from_its_rows() {
        let clock = Clock::by_hand(Timestamp::from_micros(5 * SECOND));
        clock.start_no_earlier_than(Timestamp::from_micros(START));
        assert_eq!(clock.now(), Timestamp::from_micros(START));
        clock.advance(Duration::from_secs(100));
        assert_eq!(clock.now(), Timestamp::from_micros(START + 95 * SECOND));
        clock.start_no_earlier_than(Timestamp::EPOCH);
        assert_eq!(clock.now(), Timestamp::from_micros(START + 95 * SECOND));
    }

    #[test]
    fn the_machines_clock_goes_forward() {
        let clock = Clock::system();
        let first = clock.now();
        assert!(first > Timestamp::from_micros(START) && clock.clone().now() >= first);
    }
}
