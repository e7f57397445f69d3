//! One second of a deployment's requests, over all proxies.
//!
//! Counts are fractions, because a report that spans two seconds is shared between them by time. Tests: below.

use std::time::Duration;

use fogline_core::traffic::{LATENCY_BOUNDS_MS, ServiceTraffic};

/// Buckets of a latency histogram: one more than there are bounds.
pub(super) const BUCKETS: usize = LATENCY_BOUNDS_MS.len() + 1;

/// What came and went.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Flow {
    pub(super) begun: f64,
    pub(super) ended: f64,
    pub(super) failed: f64,
    pub(super) latency: [f64; BUCKETS],
    pub(super) latency_s: f64,
}

impl Flow {
    /// What has come since the proxy told of it `before`.
    pub(super) fn since(before: Option<&ServiceTraffic>, now: &ServiceTraffic) -> Self {
        let gained = |of: fn(&ServiceTraffic) -> u64| {
            // Counters of one session only grow; one that does not says nothing.
            of(now).saturating_sub(before.map_or(0, of)) as f64
        };
        let mut latency = [0.0; BUCKETS];
        for (at, count) in latency.iter_mut().enumerate() {
            *count = now.latency[at].saturating_sub(before.map_or(0, |before| before.latency[at])) as f64;
        }
        let spent = now.latency_sum.saturating_sub(before.map_or(Duration::ZERO, |before| before.latency_sum));
        Self {
            begun: gained(|traffic| traffic.begun),
            ended: gained(|traffic| traffic.ended),
            failed: gained(|traffic| traffic.failed),
            latency,
            latency_s: spent.as_secs_f64(),
        }
    }

    pub(super) fn add(&mut self, other: &Self, share: f64) {
        self.begun += other.begun * share;
        self.ended += other.ended * share;
        self.failed += other.failed * share;
        self.latency_s += other.latency_s * share;
        for (count, more) in self.latency.iter_mut().zip(other.latency) {
            *count += more * share;
        }
    }

    /// Failed requests, percent of those that ended; 0 where none has.
    pub(super) fn error_percent(&self) -> f64 {
        if self.ended > 0.0 { (self.failed / self.ended * 100.0).min(100.0) } else { 0.0 }
    }

    /// Nothing where nothing has ended.
    pub(super) fn mean_ms(&self) -> Option<f64> {
        let counted: f64 = self.latency.iter().sum();
        (counted > 0.0).then(|| self.latency_s * 1_000.0 / counted)
    }

    /// The latency that this share of requests stayed below, by where in its bucket that would be if all in it were spread
    /// evenly; of the last bucket, which has no upper end, its lower one. Nothing where nothing has ended.
    pub(super) fn quantile_ms(&self, share: f64) -> Option<f64> {
        let counted: f64 = self.latency.iter().sum();
        if counted <= 0.0 {
            return None;
        }
        let (mut left, mut lower) = (counted * share, 0.0);
        for (count, bound) in self.latency.iter().zip(LATENCY_BOUNDS_MS) {
            let bound = f64::from(bound);
            if *count > 0.0 && left <= *count {
                return Some(lower + (bound - lower) * (left / count));
            }
            left -= count;
            lower = bound;
        }
        Some(lower)
    }
}

/// One second.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Second {
    /// Seconds since the epoch at which it began.
    pub(super) start: i64,
    pub(super) flow: Flow,
    /// Requests that were open or held, each by the part of the second in which it was.
    pub(super) busy: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(latency: &[(usize, f64)]) -> Flow {
        let mut flow = Flow::default();
        for (at, count) in latency {
            flow.latency[*at] = *count;
        }
        flow
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_that_holds_it() {
        // A hundred of 5 to 10 ms, ten of 50 to 100 ms.
        let mixed = flow(&[(3, 90.0), (6, 10.0)]);
        assert_eq!(mixed.quantile_ms(0.45), Some(7.5));
        assert_eq!(mixed.quantile_ms(0.95), Some(75.0));
        assert_eq!(mixed.quantile_ms(1.0), Some(100.0));
        assert_eq!(flow(&[(BUCKETS - 1, 4.0)]).quantile_ms(0.5), Some(30_000.0));
        assert_eq!(flow(&[]).quantile_ms(0.99), None);
    }

    #[test]
    fn shares_add_up() {
        let whole = Flow { begun: 10.0, ended: 8.0, failed: 2.0, latency_s: 0.4, ..flow(&[(0, 8.0)]) };
        let mut sum = Flow::default();
        for share in [0.25, 0.75] {
            sum.add(&whole, share);
        }
        assert_eq!(sum, whole);
        assert_eq!((sum.error_percent(), sum.mean_ms()), (25.0, Some(50.0)));
        assert_eq!(Flow::default().error_percent(), 0.0);
    }
}
