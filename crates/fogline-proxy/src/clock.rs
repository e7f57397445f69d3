//! The proxy's only clock: microseconds since it was made, which never step, and the wall clock for what people read.
//!
//! Whatever is decided here (deadlines, ejection, slow start) is counted on the first. Invariant: it never goes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fogline_core::time::Timestamp;
use rustix::time::{ClockId, clock_gettime};

#[derive(Debug)]
enum Source {
    /// Since when, on the kernel's own monotonic clock.
    System {
        start_us: u64,
    },
    ByHand(AtomicU64),
}

/// The clock. Cheap to clone; all clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Arc<Source>,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self { source: Arc::new(Source::System { start_us: kernel_us(ClockId::Monotonic) }) }
    }

    /// A clock that stands still until [`Self::advance`] moves it. For tests.
    #[must_use]
    pub fn by_hand() -> Self {
        Self { source: Arc::new(Source::ByHand(AtomicU64::new(0))) }
    }

    /// Microseconds since the clock was made.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.read(ClockId::Monotonic)
    }

    /// The same as of the kernel's last tick, so up to 10 ms behind, for a fraction of the price: for what is counted in
    /// seconds.
    #[must_use]
    pub fn coarse_us(&self) -> u64 {
        self.read(ClockId::MonotonicCoarse)
    }

    fn read(&self, clock: ClockId) -> u64 {
        match &*self.source {
            Source::System { start_us } => kernel_us(clock).saturating_sub(*start_us),
            Source::ByHand(at) => at.load(Ordering::SeqCst),
        }
    }

    /// The wall clock, which may step: for logs and certificates, never to decide by.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// Moves a clock made by [`Self::by_hand`]; does nothing to the machine's.
    pub fn advance(&self, by: Duration) {
        if let Source::ByHand(at) = &*self.source {
            at.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }
}

fn kernel_us(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    // It counts from when the machine was started, so neither part is ever negative.
    time.tv_sec.cast_unsigned() * 1_000_000 + time.tv_nsec.cast_unsigned() / 1_000
}
