//! What is remembered over time: since when a condition holds, the last points of a metric, the last recommendations.
//!
//! Invariant: nothing here grows without a bound, and a point that was seen once is not counted twice.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sample::{INTERVALS_TO_STALE, Point, Reading};
use crate::time::Timestamp;

/// Since when every sample has met a condition, without a gap of more than three intervals between two of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HoldClock {
    /// The first sample of the unbroken row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holding_since: Option<Timestamp>,
    /// The last sample that was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}

impl HoldClock {
    /// Counts every point that was not counted yet.
    pub fn advance(&mut self, reading: &Reading, now: Timestamp, meets: impl Fn(f64) -> bool) {
        let longest_gap = reading.interval * INTERVALS_TO_STALE;
        for point in reading.points(now) {
            if self.last.is_some_and(|last| point.at <= last) {
                continue;
            }
            if self.last.is_some_and(|last| point.at.since(last) > longest_gap) {
                self.holding_since = None;
            }
            self.last = Some(point.at);
            if meets(point.value) {
                self.holding_since.get_or_insert(point.at);
            } else {
                self.holding_since = None;
            }
        }
    }

    /// How long it has held, up to the last sample.
    #[must_use]
    pub fn held(&self) -> Option<Duration> {
        Some(self.last?.since(self.holding_since?))
    }
}

/// The points of the last while, oldest first.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct PointWindow {
    points: Vec<Point>,
}

impl PointWindow {
    /// The most points that are kept: a source may be faster than anybody meant.
    const MOST: usize = 4_096;

    /// Adds what is new, and forgets what is older than `keep`.
    pub fn advance(&mut self, reading: &Reading, now: Timestamp, keep: Duration) {
        let newest = self.points.last().map(|point| point.at);
        self.points.extend(reading.points(now).filter(|point| newest.is_none_or(|newest| point.at > newest)));
        self.points.retain(|point| now.since(point.at) < keep);
        let surplus = self.points.len().saturating_sub(Self::MOST);
        self.points.drain(..surplus);
    }

    /// The mean over the last `window`; the newest point where the window is shorter than the time between two.
    #[must_use]
    pub fn mean(&self, now: Timestamp, window: Duration) -> Option<f64> {
        let newest = self.points.last()?;
        let (sum, count) = self
            .points
            .iter()
            .filter(|point| now.since(point.at) < window)
            .fold((0.0, 0_u32), |(sum, count), point| (sum + point.value, count + 1));
        Some(if count == 0 { newest.value } else { sum / f64::from(count) })
    }
}

/// A raw recommendation, and when it was last made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Recommended {
    at: Timestamp,
    replicas: u32,
}

/// The raw recommendations of the stabilization windows.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RecommendationWindow {
    made: Vec<Recommended>,
}

impl RecommendationWindow {
    /// As if `replicas` had been recommended up to `now`: nothing acts before the window has passed.
    #[must_use]
    pub fn full(replicas: u32, now: Timestamp) -> Self {
        Self { made: vec![Recommended { at: now, replicas }] }
    }

    /// Adds a recommendation and forgets those older than `keep`.
    pub fn push(&mut self, replicas: u32, now: Timestamp, keep: Duration) {
        match self.made.last_mut() {
            // Only the last moment of a row of equal ones can be inside a window.
            Some(last) if last.replicas == replicas => last.at = now,
            _ => self.made.push(Recommended { at: now, replicas }),
        }
        self.made.retain(|one| now.since(one.at) <= keep);
    }

    /// Whether nothing was recommended yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.made.is_empty()
    }

    /// The lowest recommendation of the last `window`.
    #[must_use]
    pub fn lowest(&self, now: Timestamp, window: Duration) -> Option<u32> {
        self.within(now, window).min()
    }

    /// The highest recommendation of the last `window`.
    #[must_use]
    pub fn highest(&self, now: Timestamp, window: Duration) -> Option<u32> {
        self.within(now, window).max()
    }

    fn within(&self, now: Timestamp, window: Duration) -> impl Iterator<Item = u32> + '_ {
        // One that is exactly as old as the window has left it; a window of no length holds nothing.
        let inside = move |one: &&Recommended| now.since(one.at) < window;
        self.made.iter().filter(inside).map(|one| one.replicas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::sample::{Sample, Source};

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000).plus(Duration::from_secs(seconds))
    }

    fn reading(seconds: u64, value: f64) -> Reading {
        Reading::value(value, at(seconds), Source::Prometheus, Duration::from_secs(10))
    }

    #[test]
    fn a_clock_runs_while_every_sample_meets_it() {
        let mut clock = HoldClock::default();
        for (seconds, value, held) in [
            (0, 70.0, Some(0)),
            (10, 61.0, Some(10)),
            (40, 61.0, Some(40)),
            (40, 1.0, Some(40)),
            (50, 60.0, None),
            (60, 61.0, Some(0)),
            // 30 s are three intervals, 31 s are a gap.
            (91, 61.0, Some(0)),
            (121, 61.0, Some(30)),
        ] {
            clock.advance(&reading(seconds, value), at(seconds), |value| value > 60.0);
            assert_eq!(clock.held().map(|held| held.as_secs()), held, "at {seconds} s");
        }
    }

    #[test]
    fn a_gap_is_filled_by_a_range_query() {
        let mut clock = HoldClock::default();
        clock.advance(&reading(0, 70.0), at(0), |value| value > 60.0);
        let history = (1..10).map(|step| Point { at: at(step * 10), value: 70.0 }).collect();
        let filled = Reading { history, ..reading(100, 70.0) };
        clock.advance(&filled, at(100), |value| value > 60.0);
        assert_eq!(clock.held(), Some(Duration::from_secs(100)));
    }

    #[test]
    fn no_sample_leaves_a_clock_where_it_was() {
        let mut clock = HoldClock::default();
        clock.advance(&reading(0, 70.0), at(0), |value| value > 60.0);
        let missing = Reading::of(Sample::Missing, Source::Prometheus, Duration::from_secs(10));
        clock.advance(&missing, at(10), |value| value > 60.0);
        clock.advance(&reading(20, 70.0), at(20), |value| value > 60.0);
        assert_eq!(clock.held(), Some(Duration::from_secs(20)));
    }

    #[test]
    fn a_window_of_points_means_and_forgets() {
        let mut window = PointWindow::default();
        for seconds in 0..120 {
            window.advance(
                &reading(seconds, if seconds < 60 { 0.0 } else { 10.0 }),
                at(seconds),
                Duration::from_secs(60),
            );
        }
        assert_eq!(window.mean(at(119), Duration::from_secs(60)), Some(10.0));
        assert_eq!(window.points.len(), 60);
        assert_eq!(PointWindow::default().mean(at(0), Duration::from_secs(60)), None);
        assert_eq!(window.mean(at(170), Duration::from_secs(6)), Some(10.0), "the newest is better than nothing");
    }

    #[test]
    fn recommendations_are_remembered_for_their_window() {
        let mut window = RecommendationWindow::full(5, at(0));
        let day = Duration::from_secs(300);
        window.push(3, at(10), day);
        window.push(3, at(20), day);
        assert_eq!((window.lowest(at(20), day), window.highest(at(20), day)), (Some(3), Some(5)));
        assert_eq!(window.highest(at(20), Duration::ZERO), None);
        window.push(3, at(300), day);
        assert_eq!(window.highest(at(300), day), Some(3), "300 s have passed");
    }
}
