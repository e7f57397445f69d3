//! Samples that somebody pushed: the last ones of each series.
//!
//! Invariant: at most [`MOST_SERIES_OF_ONE`] series a target and [`MOST_SERIES`] in all, each of at most [`MOST_POINTS`]
//! points; a series that nobody has pushed to for a week is gone. Tests: below.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fogline_core::record::ScalingTarget;
use fogline_core::scaling::sample::{INTERVALS_TO_STALE, Point, Reading, Source};
use fogline_core::time::Timestamp;

use super::PushedSample;

/// How long a pushed sample is good when its push says nothing.
const STALE_AFTER: Duration = Duration::from_secs(90);
const MOST_SERIES_OF_ONE: usize = 256;
const MOST_SERIES: usize = 200_000;
const MOST_POINTS: usize = 64;
/// How long a series without a push is kept. Long: as long as it is known to be stale, nothing goes down for want of it.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Why samples were not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoRoom {
    /// A target has as many series as it may have.
    OfTarget {
        /// Which sample of the batch is of one more.
        index: usize,
        /// So many it may have.
        most: usize,
    },
    /// All targets together have.
    InAll,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Pushed {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    targets: HashMap<ScalingTarget, BTreeMap<String, Series>>,
    count: usize,
}

#[derive(Debug)]
struct Series {
    /// Oldest first.
    points: VecDeque<Point>,
    stale_after: Duration,
}

impl Pushed {
    /// Takes note of all these samples, or of none. Those of a time that is yet to come are of now from here on.
    ///
    /// # Errors
    /// Where there is no room for another series.
    pub(super) fn put_all(&self, batch: &mut [PushedSample], now: Timestamp) -> Result<(), NoRoom> {
        let mut book = self.lock();
        book.has_room(batch)?;
        for sample in batch {
            sample.at = sample.at.min(now);
            book.put(sample);
        }
        Ok(())
    }

    /// The last sample of a series, with all points after `since`.
    pub(super) fn reading(&self, target: &ScalingTarget, metric: &str, since: Timestamp) -> Option<Reading> {
        self.lock().targets.get(target)?.get(metric)?.reading(since)
    }

    /// The last sample of every series of a target.
    pub(super) fn all(&self, target: &ScalingTarget) -> BTreeMap<String, Reading> {
        let book = self.lock();
        let series = book.targets.get(target).into_iter().flatten();
        // No history: it is told to evaluations alone.
        let last = |(name, series): (&String, &Series)| Some((name.clone(), series.reading(series.points.back()?.at)?));
        series.filter_map(last).collect()
    }

    /// Forgets what nobody pushes any more.
    pub(super) fn sweep(&self, now: Timestamp) {
        let mut book = self.lock();
        let mut count = 0;
        book.targets.retain(|_, series| {
            series.retain(|_, series| series.points.back().is_some_and(|last| now.since(last.at) < KEPT));
            count += series.len();
            !series.is_empty()
        });
        book.count = count;
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn has_room(&self, batch: &[PushedSample]) -> Result<(), NoRoom> {
        let mut new: HashMap<&ScalingTarget, BTreeSet<&str>> = HashMap::new();
        let mut count = self.count;
        for (index, sample) in batch.iter().enumerate() {
            let known = self.targets.get(&sample.target);
            if known.is_some_and(|series| series.contains_key(&sample.metric)) {
                continue;
            }
            let new = new.entry(&sample.target).or_default();
            if !new.insert(&sample.metric) {
                continue;
            }
            if known.map_or(0, BTreeMap::len) + new.len() > MOST_SERIES_OF_ONE {
                return Err(NoRoom::OfTarget { index, most: MOST_SERIES_OF_ONE });
            }
            count += 1;
            if count > MOST_SERIES {
                return Err(NoRoom::InAll);
            }
        }
        Ok(())
    }

    fn put(&mut self, sample: &PushedSample) {
        let stale_after = sample.stale_after.unwrap_or(STALE_AFTER);
        let series = self.targets.entry(sample.target.clone()).or_default();
        let series = series.entry(sample.metric.clone()).or_insert_with(|| {
            self.count += 1;
            Series { points: VecDeque::with_capacity(1), stale_after }
        });
        series.stale_after = stale_after;
        series.put(Point { at: sample.at, value: sample.value });
    }
}

impl Series {
    /// Pushes may come late; of one instant the last word counts.
    fn put(&mut self, point: Point) {
        let after = self.points.partition_point(|known| known.at <= point.at);
        match after.checked_sub(1).and_then(|before| self.points.get_mut(before)) {
            Some(known) if known.at == point.at => *known = point,
            _ => self.points.insert(after, point),
        }
        if self.points.len() > MOST_POINTS {
            self.points.pop_front();
        }
    }

    fn reading(&self, since: Timestamp) -> Option<Reading> {
        let last = self.points.back()?;
        let mut reading = Reading::value(last.value, last.at, Source::Push, self.stale_after / INTERVALS_TO_STALE);
        reading.stale_after = Some(self.stale_after);
        reading.history.extend(self.points.iter().filter(|point| point.at > since && point.at < last.at));
        Some(reading)
    }
}

#[cfg(test)]
mod tests {
    use fogline_core::id::{IdSource, UserId};

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn at(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    fn target() -> ScalingTarget {
        let owner: UserId = IdSource::new(1).next(NOW);
        ScalingTarget::Outside { owner, target_type: "proxy".to_owned(), target_id: "edge".to_owned() }
    }

    fn sample(metric: &str, value: f64, seconds: u64) -> PushedSample {
        PushedSample { target: target(), metric: metric.to_owned(), value, at: at(seconds), stale_after: None }
    }

    #[test]
    fn late_ones_are_put_in_their_place_and_the_last_word_counts() {
        let pushed = Pushed::default();
        for (value, seconds) in [(1.0, 10), (3.0, 30), (2.0, 20), (9.0, 30)] {
            assert_eq!(pushed.put_all(&mut [sample("lag", value, seconds)], at(60)), Ok(()));
        }
        let reading = pushed.reading(&target(), "lag", at(10)).expect("a reading");
        assert_eq!(reading.points(at(60)).map(|point| point.value).collect::<Vec<_>>(), [2.0, 9.0]);
        assert_eq!(reading.stale_after(), STALE_AFTER);
    }

    #[test]
    fn what_is_yet_to_come_counts_as_now() {
        let pushed = Pushed::default();
        assert_eq!(pushed.put_all(&mut [sample("lag", 1.0, 3_600)], at(0)), Ok(()));
        assert_eq!(pushed.all(&target())["lag"].fresh(at(0)).map(|point| point.at), Some(at(0)));
    }

    #[test]
    fn series_are_bounded_and_old_ones_go() {
        let pushed = Pushed::default();
        let of = |number: usize| sample(&format!("metric-{number}"), 1.0, 0);
        let put = |numbers: std::ops::Range<usize>| pushed.put_all(&mut numbers.map(of).collect::<Vec<_>>(), at(0));
        let refused = |index| Err(NoRoom::OfTarget { index, most: MOST_SERIES_OF_ONE });
        assert_eq!(put(0..MOST_SERIES_OF_ONE + 1), refused(MOST_SERIES_OF_ONE));
        assert!(pushed.all(&target()).is_empty(), "nothing of it was taken");
        assert_eq!(put(0..MOST_SERIES_OF_ONE), Ok(()));
        assert_eq!(put(MOST_SERIES_OF_ONE - 3..MOST_SERIES_OF_ONE + 1), refused(3));
        assert_eq!(put(0..1), Ok(()), "one that is known is taken");
        pushed.sweep(at(0).plus(KEPT));
        assert!(pushed.all(&target()).is_empty());
        assert_eq!(put(MOST_SERIES_OF_ONE..MOST_SERIES_OF_ONE + 1), Ok(()));
    }
}
