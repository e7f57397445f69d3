//! A seasonal model of one metric: what is usual at this time of the season, times how this season compares.
//!
//! The season is cut into buckets. A bucket's usual value is its mean over the earlier seasons, and the level is the ratio
//! of the last buckets to what was usual for them. This is the seasonal naive method with a level (Hyndman and
//! Athanasopoulos, "Forecasting: Principles and Practice", section 5.2), chosen because it can be explained in one
//! sentence: docs/adr/0019. Must never be fitted to anything after the moment for which it is asked. Invariant: the error
//! that it tells was made on a season that it had not seen. Tests: below, `tests/it/scaling/forecast.rs`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sample::Point;
use crate::time::Timestamp;

/// A season has this many buckets, unless they would be shorter than [`SHORTEST_BUCKET`].
const BUCKETS: u32 = 288;
const SHORTEST_BUCKET: Duration = Duration::from_secs(60);
/// Buckets that say how this season compares.
const LEVEL_BUCKETS: usize = 6;
/// Further from usual than this, a few buckets are no season.
const LEVEL_RANGE: (f64, f64) = (0.5, 2.0);
/// The share of a season's buckets that must be known.
const COVERED: f64 = 0.8;

/// What is known of a metric's season.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Model {
    bucket: Duration,
    /// By phase. Where nothing was recorded, nothing is usual.
    usual: Vec<Option<f64>>,
    level: f64,
    error_percent: f64,
}

/// Why there is no model.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum NoModel {
    /// Two seasons are needed: one to learn from and one to be tested on.
    #[error("{recorded:.1} of 2 seasons are recorded")]
    TooShort {
        /// How many there are.
        recorded: f64,
    },
}

impl Model {
    /// How long a bucket of this season is: how often it is worth fitting anew.
    #[must_use]
    pub fn bucket(season: Duration) -> Duration {
        (season / BUCKETS).max(SHORTEST_BUCKET)
    }

    /// Learns from `history` (oldest first) up to `now`.
    ///
    /// # Errors
    /// When less than two seasons were recorded, or they have too many holes.
    pub fn fit(season: Duration, history: &[Point], now: Timestamp) -> Result<Self, NoModel> {
        let bucket = Self::bucket(season);
        let phases = usize::try_from(season.as_micros() / bucket.as_micros()).unwrap_or(1).max(1);
        let slots = Slots::of(history, bucket, now);
        let known = |slots: &[Option<f64>]| slots.iter().flatten().count();
        let needed = (phases as f64 * COVERED) as usize;
        let split = slots.values.len().saturating_sub(phases);
        let (earlier, last) = slots.values.split_at(split);
        let learnt = &earlier[earlier.len().saturating_sub(phases)..];
        if known(learnt) < needed || known(last) < needed {
            let recorded = known(&slots.values) as f64 / phases as f64;
            return Err(NoModel::TooShort { recorded: recorded.min(1.9) });
        }
        let usual = usual(&slots.values, slots.first, phases);
        let level = level(&slots.values, slots.first, &usual);
        let error_percent = tested(&slots, split, phases);
        Ok(Self { bucket, usual, level, error_percent })
    }

    /// The largest value expected from `from` until `ahead` later; nothing where nothing was recorded for it.
    #[must_use]
    pub fn largest(&self, from: Timestamp, ahead: Duration) -> Option<f64> {
        let first = slot(from, self.bucket);
        let last = slot(from.plus(ahead), self.bucket);
        let values = (first..=last).filter_map(|slot| self.usual[phase(slot, self.usual.len())]);
        values.reduce(f64::max).map(|value| value * self.level)
    }

    /// How this season compares with the earlier ones: 1.1 is a tenth more.
    #[must_use]
    pub const fn level(&self) -> f64 {
        self.level
    }

    /// The error on the last season, which the model tested had not seen: the sum of what it was wrong by in percent of the
    /// sum of what came (WAPE, the same book, section 5.8).
    #[must_use]
    pub const fn error_percent(&self) -> f64 {
        self.error_percent
    }
}

/// The history in buckets, without gaps in their order: an empty one is nothing.
struct Slots {
    first: i64,
    values: Vec<Option<f64>>,
}

impl Slots {
    /// The bucket of `now` is not over, and not in it.
    fn of(history: &[Point], bucket: Duration, now: Timestamp) -> Self {
        let end = slot(now, bucket);
        let usable = || history.iter().filter(|point| point.value.is_finite() && slot(point.at, bucket) < end);
        let Some(first) = usable().map(|point| slot(point.at, bucket)).min() else {
            return Self { first: end, values: Vec::new() };
        };
        let mut sums = vec![(0.0, 0_u32); usize::try_from(end - first).unwrap_or(0)];
        for point in usable() {
            let (sum, count) = &mut sums[usize::try_from(slot(point.at, bucket) - first).unwrap_or(0)];
            *sum += point.value.max(0.0);
            *count += 1;
        }
        let values = sums.iter().map(|(sum, count)| (*count > 0).then(|| sum / f64::from(*count))).collect();
        Self { first, values }
    }
}

fn slot(at: Timestamp, bucket: Duration) -> i64 {
    at.as_micros().div_euclid(i64::try_from(bucket.as_micros()).unwrap_or(i64::MAX))
}

fn phase(slot: i64, phases: usize) -> usize {
    usize::try_from(slot.rem_euclid(i64::try_from(phases).unwrap_or(i64::MAX))).unwrap_or(0)
}

/// The mean of each phase.
fn usual(values: &[Option<f64>], first: i64, phases: usize) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_u32); phases];
    for (value, slot) in values.iter().zip(first..) {
        if let Some(value) = value {
            let (sum, count) = &mut sums[phase(slot, phases)];
            *sum += value;
            *count += 1;
        }
    }
    sums.iter().map(|(sum, count)| (*count > 0).then(|| sum / f64::from(*count))).collect()
}

/// How the last of `values` compare with what is usual for them.
fn level(values: &[Option<f64>], first: i64, usual: &[Option<f64>]) -> f64 {
    let start = values.len().saturating_sub(LEVEL_BUCKETS);
    let (mut seen, mut expected) = (0.0, 0.0);
    for (value, slot) in values.iter().zip(first..).skip(start) {
        if let (Some(value), Some(usual)) = (value, usual[phase(slot, usual.len())]) {
            seen += value;
            expected += usual;
        }
    }
    if expected > 0.0 { (seen / expected).clamp(LEVEL_RANGE.0, LEVEL_RANGE.1) } else { 1.0 }
}

/// Plays the last season, from `split` on, with what was known at each moment of it. Percent.
fn tested(slots: &Slots, split: usize, phases: usize) -> f64 {
    let usual = usual(&slots.values[..split], slots.first, phases);
    let (mut wrong, mut came) = (0.0, 0.0);
    for at in split..slots.values.len() {
        let slot = slots.first + i64::try_from(at).unwrap_or(0);
        let (Some(value), Some(expected)) = (slots.values[at], usual[phase(slot, phases)]) else { continue };
        let expected = expected * level(&slots.values[..at], slots.first, &usual);
        wrong += (value - expected).abs();
        came += value;
    }
    match (wrong > 0.0, came > 0.0) {
        (false, _) => 0.0,
        (true, true) => wrong / came * 100.0,
        (true, false) => 100.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const MINUTE: Duration = Duration::from_secs(60);
    const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    /// `load(minute)` for so many minutes.
    fn history(minutes: u32, load: impl Fn(u32) -> f64) -> Vec<Point> {
        (0..minutes).map(|minute| Point { at: START.plus(MINUTE * minute), value: load(minute) }).collect()
    }

    fn wave(minute: u32) -> f64 {
        if minute % 60 < 30 { 100.0 } else { 300.0 }
    }

    #[test]
    fn a_season_that_repeats_is_known_without_error() {
        let now = START.plus(3 * HOUR);
        let model = Model::fit(HOUR, &history(180, wave), now).expect("three seasons");
        assert_eq!((model.error_percent(), model.level()), (0.0, 1.0));
        assert_eq!(model.largest(now, MINUTE * 10), Some(100.0));
        assert_eq!(model.largest(now.plus(MINUTE * 25), MINUTE * 10), Some(300.0), "what comes within ten minutes");
    }

    #[test]
    fn a_busier_season_lifts_the_forecast() {
        let busier = |minute| wave(minute) * if minute >= 180 { 1.5 } else { 1.0 };
        let now = START.plus(MINUTE * 200);
        let model = Model::fit(HOUR, &history(200, busier), now).expect("three seasons");
        assert!(model.level() > 1.2 && model.level() <= 1.5, "{}", model.level());
        assert!(model.largest(now.plus(MINUTE * 15), MINUTE).expect("known") > 330.0);
    }

    #[test]
    fn noise_is_an_error_and_a_short_history_no_model() {
        // Each hour another half is busy: the last hour is the opposite of those before.
        let fickle = |minute| if minute >= 120 { 400.0 - wave(minute) } else { wave(minute) };
        let model = Model::fit(HOUR, &history(180, fickle), START.plus(3 * HOUR)).expect("three seasons");
        assert!(model.error_percent() > 30.0, "{}", model.error_percent());
        let short = Model::fit(HOUR, &history(100, wave), START.plus(MINUTE * 100));
        assert_eq!(short.expect_err("not two").to_string(), "1.7 of 2 seasons are recorded");
        assert!(Model::fit(HOUR, &[], START).is_err());
        // Holes are not zeros.
        let holes: Vec<Point> = history(180, wave).into_iter().filter(|point| point.value > 200.0).collect();
        assert!(Model::fit(HOUR, &holes, START.plus(3 * HOUR)).is_err());
    }

    #[test]
    fn nothing_after_now_is_learnt() {
        let now = START.plus(3 * HOUR);
        let changed = |minute| if minute >= 180 { 9_000.0 } else { wave(minute) };
        let with_future = Model::fit(HOUR, &history(300, changed), now).expect("three seasons");
        assert_eq!(with_future, Model::fit(HOUR, &history(180, wave), now).expect("three seasons"));
    }
}
