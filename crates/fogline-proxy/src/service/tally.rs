//! What is counted of a service: plain counters that every worker adds to, and that only grow.
//!
//! Invariant: `begun = ended + in hand`; what is not counted touches none of these.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use fogline_core::traffic::LATENCY_BOUNDS_MS;

const BUCKETS: usize = LATENCY_BOUNDS_MS.len() + 1;

/// How many took how long.
#[derive(Debug, Default)]
pub(crate) struct Times {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Times {
    pub fn add(&self, took_us: u64) {
        let bucket = LATENCY_BOUNDS_MS.partition_point(|&bound_ms| u64::from(bound_ms) * 1_000 < took_us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }

    pub fn buckets(&self) -> [u64; BUCKETS] {
        std::array::from_fn(|at| self.buckets[at].load(Ordering::Relaxed))
    }

    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us.load(Ordering::Relaxed))
    }
}

/// The counters of one service.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub begun: AtomicU64,
    pub ended: AtomicU64,
    pub failed: AtomicU64,
    pub refused: AtomicU64,
    /// With a replica now.
    pub open: AtomicU32,
    /// When the last request ended, on the proxy's clock; when the service was made, before there was one.
    pub last_us: AtomicU64,
    pub latency: Times,
    pub cold_starts: Times,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        let times = Times::default();
        for took_us in [0, 1_000, 1_001, 30_000_000, 30_000_001] {
            times.add(took_us);
        }
        let buckets = times.buckets();
        assert_eq!((buckets[0], buckets[1], buckets[13], buckets[14]), (2, 1, 1, 1));
        assert_eq!(times.sum(), Duration::from_micros(60_002_002));
    }
}
