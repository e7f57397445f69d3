//! A stretch of time in steps, and what was found in each. Tests: below, and `tests/it/samples`.

use std::collections::BTreeMap;
use std::time::Duration;

use fogline_core::time::Timestamp;

use super::fold::{FINE, SECOND};
use super::{Bucket, KEPT_FOR};

/// More than is kept: rows are looked up one by one, so there must be an end to it.
const LONGEST: i64 = KEPT_FOR.as_secs() as i64 + 86_400;

/// In seconds since 1970; the step and both ends are multiples of 10.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) from: i64,
    /// The first second that is not in it.
    pub(super) to: i64,
    pub(super) step: i64,
}

impl Span {
    pub(super) fn of(from: Timestamp, to: Timestamp, step: Duration) -> Self {
        let step = step.as_micros().div_ceil((FINE * SECOND).unsigned_abs().into());
        let step = i64::try_from(step).unwrap_or(LONGEST).clamp(1, LONGEST / FINE) * FINE;
        let row = |micros: i64| micros.max(0).div_euclid(FINE * SECOND) * FINE;
        let from = row(from.as_micros()) / step * step;
        // A row counts whole where its beginning is before the end.
        let to = row(to.as_micros().max(0).saturating_add(FINE * SECOND - 1));
        Self { from, to, step }
    }

    /// The part of it in which there are rows, of which the first and the last begin there; rows begin at multiples of
    /// `row`. Nothing where there are none.
    pub(super) fn within(self, first: Option<i64>, last: Option<i64>, row: i64) -> Option<Self> {
        let to = self.to.min(last?.saturating_add(row));
        let from = self.from.max(first?).max(to - LONGEST);
        // The next beginning of a row.
        let from = (from + row - 1).div_euclid(row) * row;
        (from < to).then_some(Self { from, to, step: self.step })
    }
}

/// Of some points: how many, their sum, the largest.
#[derive(Clone, Copy, Debug)]
struct Sum {
    count: u64,
    sum: f64,
    max: f64,
}

/// What was found, by the beginning of its step.
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<i64, Sum>);

impl Sums {
    pub(super) fn add(&mut self, at: i64, count: i64, sum: f64, max: f64) {
        let here = self.0.entry(at).or_insert(Sum { count: 0, sum: 0.0, max });
        here.count += count.unsigned_abs();
        here.sum += sum;
        here.max = here.max.max(max);
    }

    pub(super) fn into_buckets(self) -> Vec<Bucket> {
        let bucket = |(at, Sum { count, sum, max }): (i64, Sum)| Bucket {
            at: Timestamp::from_micros(at.saturating_mul(SECOND)),
            mean: sum / count.max(1) as f64,
            max,
            count,
        };
        self.0.into_iter().map(bucket).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_ends_are_rounded_outwards() {
        let of = |from: i64, to: i64, step: u64| {
            let span = Span::of(
                Timestamp::from_micros(from * 100_000),
                Timestamp::from_micros(to * 100_000),
                Duration::from_millis(step * 100),
            );
            (span.from, span.to, span.step)
        };
        assert_eq!(of(1_234, 2_345, 100), (120, 240, 10));
        assert_eq!(of(1_234, 2_400, 0), (120, 240, 10));
        assert_eq!(of(1_234, 2_401, 101), (120, 250, 20));
        assert_eq!(of(1_234, 2_401, 600), (120, 250, 60));
        assert_eq!(of(i64::MIN / 200_000, 0, 600), (0, 0, 60));
    }

    #[test]
    fn there_is_an_end_to_looking() {
        let all = Span::of(Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX), Duration::MAX);
        assert_eq!(all.within(None, None, 10), None);
        let part = all.within(Some(100), Some(9_000_000_000_000), 10).expect("a part");
        assert_eq!((part.from, part.to), (9_000_000_000_010 - LONGEST, 9_000_000_000_010));
        assert_eq!(all.within(Some(120), Some(180), 60).map(|part| (part.from, part.to)), Some((120, 240)));
        assert_eq!(Span { from: 130, to: 150, step: 10 }.within(Some(0), Some(600), 60), None);
    }
}
