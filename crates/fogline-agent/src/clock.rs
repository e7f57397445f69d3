//! The agent's only clock: microseconds since the machine was booted, time asleep included.
//!
//! It never steps and nobody can set it, so time-outs mean what they say. It says nothing across a reboot; nothing that
//! is kept on disk refers to it.

use rustix::time::{ClockId, clock_gettime};

/// Now.
#[must_use]
pub fn boot_us() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(nanos / 1_000)
}
