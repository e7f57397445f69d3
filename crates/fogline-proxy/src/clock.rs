//! The proxy's only clock: microseconds since it was made, which never step, and the wall clock for what people read.
//!
//! Whatever is decided here (deadlines, ejection, slow start) is counted on the first. Invariant: it never goes back, as long
//! as the coarse reading of it is not mixed with the exact one.

use std::time::Duration;

use fogline_core::time::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// The clock. All copies tell the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start_us: u64,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self { start_us: kernel_us(ClockId::Monotonic) }
    }

    /// Microseconds since the clock was made.
    #[must_use]
    pub fn now_us(self) -> u64 {
        kernel_us(ClockId::Monotonic).saturating_sub(self.start_us)
    }

    /// The same as of the kernel's last tick, so up to 10 ms behind, for a fraction of the price: for what is counted in
    /// seconds.
    #[must_use]
    pub fn coarse_us(self) -> u64 {
        kernel_us(ClockId::MonotonicCoarse).saturating_sub(self.start_us)
    }

    /// The wall clock, which may step: for logs and certificates, never to decide by.
    #[must_use]
    pub fn wall(self) -> Timestamp {
        Timestamp::from_micros(kernel_us(ClockId::Realtime).cast_signed())
    }
}

/// As the clock counts. What no clock will ever count is for ever.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn kernel_us(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    // They count from when the machine was started, or from 1970: neither part is ever negative.
    time.tv_sec.cast_unsigned() * 1_000_000 + time.tv_nsec.cast_unsigned() / 1_000
}
