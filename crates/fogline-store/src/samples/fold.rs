//! From points to rows of 10 s.
//!
//! A row holds its last point apart from the rest, so that a point of the same instant can take its place. Invariant:
//! points of one batch that stand in the same row differ in their instants. Tests: below.

use fogline_core::scaling::sample::Point;
use sha2::{Digest, Sha256};

use super::SeriesKey;

/// In microseconds.
pub(super) const SECOND: i64 = 1_000_000;

/// Length of a row in seconds.
pub(super) const FINE: i64 = 10;

/// A sum of as many as anybody can give stays finite.
const LARGEST: f64 = 1e290;

/// The largest of no points.
const NONE: f64 = f64::MIN;

/// Some points of one row.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Fold {
    /// Beginning of the row, in seconds since 1970.
    pub(super) at: i64,
    pub(super) series: i64,
    /// All but the last point: how many, their sum, the largest.
    pub(super) rest_count: i64,
    pub(super) rest_sum: f64,
    pub(super) rest_max: f64,
    /// The last point: microseconds since the beginning of the row, and its value.
    pub(super) last_at: i64,
    pub(super) last_value: f64,
}

/// By what a series goes in rows. Half of SHA-256 keeps names apart without a table of them, which could be lost.
pub(super) fn series(key: &SeriesKey) -> i64 {
    let mut hash = Sha256::new();
    hash.update(key.target.as_bytes());
    hash.update([0]);
    hash.update(key.metric.as_bytes());
    let bytes: [u8; 32] = hash.finalize().into();
    let (start, _) = bytes.split_first_chunk::<8>().expect("32 bytes are 8 and more");
    i64::from_be_bytes(*start)
}

/// Rows in the order of their keys. First those with one point each, then what else there is of the same rows: so the
/// oldest point of a row meets what is stored by itself, and may take the place of its last one.
pub(super) fn fold(batch: &[(SeriesKey, Point)]) -> [Vec<Fold>; 2] {
    let fits = |(key, point): &&(SeriesKey, Point)| {
        point.value.abs() <= LARGEST
            && point.at.as_micros() >= 0
            && !(key.target.contains('\0') || key.metric.contains('\0'))
    };
    let row = |(key, point): &(SeriesKey, Point)| {
        let (micros, length) = (point.at.as_micros(), FINE * SECOND);
        Fold {
            at: micros / length * FINE,
            series: series(key),
            rest_count: 0,
            rest_sum: 0.0,
            rest_max: NONE,
            last_at: micros % length,
            last_value: point.value,
        }
    };
    let mut points: Vec<Fold> = batch.iter().filter(fits).map(row).collect();
    // Stable, so that of one instant the later one in the batch stays the later one.
    points.sort_by_key(|point| (point.at, point.series, point.last_at));
    let [mut first, mut more] = [Vec::<Fold>::new(), Vec::<Fold>::new()];
    for point in points {
        let same_row = |other: &&mut Fold| (other.at, other.series) == (point.at, point.series);
        if let Some(open) = more.last_mut().filter(same_row) {
            open.add(point);
            continue;
        }
        match first.last_mut().filter(same_row) {
            None => first.push(point),
            Some(only) if only.last_at == point.last_at => only.last_value = point.last_value,
            Some(_) => more.push(point),
        }
    }
    [first, more]
}

impl Fold {
    /// Takes a later point, or another one of the same instant.
    fn add(&mut self, later: Self) {
        if later.last_at > self.last_at {
            self.rest_count += 1;
            self.rest_sum += self.last_value;
            self.rest_max = self.rest_max.max(self.last_value);
        }
        (self.last_at, self.last_value) = (later.last_at, later.last_value);
    }
}

#[cfg(test)]
mod tests {
    use fogline_core::time::Timestamp;

    use super::*;

    fn key(metric: &str) -> SeriesKey {
        SeriesKey { target: "deployment:x".to_owned(), metric: metric.to_owned() }
    }

    fn point(at: f64, value: f64) -> Point {
        Point { at: Timestamp::from_micros((at * 1e6) as i64), value }
    }

    #[test]
    fn points_become_rows_and_the_oldest_stands_alone() {
        let batch: Vec<_> = [(19.9, 5.0), (12.0, 1.0), (12.0, 2.0), (13.0, 7.0), (13.0, 4.0), (9.0, 8.0), (14.0, 3.0)]
            .map(|(at, value)| (key("a"), point(at, value)))
            .into();
        let series = series(&key("a"));
        let alone = |at, last_at, last_value| Fold {
            at,
            series,
            rest_count: 0,
            rest_sum: 0.0,
            rest_max: NONE,
            last_at,
            last_value,
        };
        let [first, more] = fold(&batch);
        assert_eq!(first, [alone(0, 9_000_000, 8.0), alone(10, 2_000_000, 2.0)]);
        let rest = Fold { rest_count: 2, rest_sum: 7.0, rest_max: 4.0, ..alone(10, 9_900_000, 5.0) };
        assert_eq!(more, [rest]);
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let odd =
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -1e291].map(|value| (key("a"), point(1.0, value)));
        let old = [(key("a"), point(-0.000_001, 1.0)), (key("a\0"), point(1.0, 1.0))];
        assert_eq!(fold(&[odd.as_slice(), old.as_slice()].concat()), [vec![], vec![]]);
    }

    #[test]
    fn names_are_kept_apart() {
        let of =
            |target: &str, metric: &str| series(&SeriesKey { target: target.to_owned(), metric: metric.to_owned() });
        let all = [of("a", "b"), of("ab", ""), of("", "ab"), of("a", "B"), of("b", "a")];
        let distinct: std::collections::BTreeSet<i64> = all.into();
        assert_eq!(distinct.len(), all.len());
    }
}
