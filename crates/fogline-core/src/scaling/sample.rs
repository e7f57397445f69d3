//! What is known of one metric at one moment: a value, or why there is none.
//!
//! Must never turn what is not known into a number: a missing sample is not 0. Invariant: a [`Sample::Value`] that
//! leaves [`Reading::judged`] is finite and fresh.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::policy::SourceKind;
use crate::time::Timestamp;

/// Names of the metrics that the system measures itself.
pub mod builtin {
    /// Processor use, mean over the ready replicas, percent of what each reserves.
    pub const CPU_PERCENT: &str = "cpu_percent";
    /// Memory use, mean over the ready replicas, percent of what each reserves.
    pub const MEMORY_PERCENT: &str = "memory_percent";
    /// Requests a second, of the whole target.
    pub const REQUEST_RATE: &str = "request_rate";
    /// Requests that are open or held, of the whole target.
    pub const CONCURRENCY: &str = "concurrency";
    /// Failed requests, percent.
    pub const ERROR_RATE: &str = "error_rate";
    /// From the first byte of a request to the last of its answer, mean, milliseconds.
    pub const AVERAGE_LATENCY_MS: &str = "average_latency_ms";
    /// What 95 % of these stay below.
    pub const LATENCY_P95_MS: &str = "latency_p95_ms";
    /// What 99 % of these stay below.
    pub const LATENCY_P99_MS: &str = "latency_p99_ms";
}

/// Intervals of a source without a sample after which the last one is stale, and a duration starts over.
pub const INTERVALS_TO_STALE: u32 = 3;

/// One look at a metric.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sample {
    /// It was measured.
    Value {
        /// What was measured.
        value: f64,
        /// When.
        at: Timestamp,
    },
    /// The source answered and had nothing.
    Missing,
    /// The last value is too old to say anything.
    Stale {
        /// What it was.
        value: f64,
        /// When.
        at: Timestamp,
    },
    /// The source failed, or what it said is no number.
    Error {
        /// Why.
        reason: String,
    },
}

/// Where a reading came from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The system's own drivers and proxy.
    Builtin,
    /// Somebody pushed it.
    Push,
    /// A Prometheus server.
    Prometheus,
    /// A JSON document over HTTP.
    HttpJson,
    /// A PostgreSQL query.
    Postgresql,
    /// The length of a Redis list or stream.
    Redis,
    /// A supplied or recorded series.
    Series,
}

impl Source {
    /// Whether the system did not measure it itself.
    #[must_use]
    pub const fn is_external(self) -> bool {
        !matches!(self, Self::Builtin)
    }

    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Builtin => "built-in",
            Self::Push => "push",
            Self::Prometheus => SourceKind::Prometheus.as_str(),
            Self::HttpJson => SourceKind::HttpJson.as_str(),
            Self::Postgresql => SourceKind::Postgresql.as_str(),
            Self::Redis => SourceKind::Redis.as_str(),
            Self::Series => "series",
        }
    }
}

/// A value and its moment.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Point {
    /// When it was measured.
    pub at: Timestamp,
    /// What was measured.
    pub value: f64,
}

/// Over which replicas a mean was taken. Replicas of a rollout's surge are in none of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Coverage {
    /// Ready replicas that gave a sample: the mean is theirs.
    pub sampled: u32,
    /// Ready replicas without a sample.
    pub missing: u32,
    /// Replicas that are not ready yet.
    pub not_ready: u32,
}

/// A metric as the engine is given it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// What is known.
    pub sample: Sample,
    /// From where.
    pub source: Source,
    /// How often the source measures. Three of these without a sample make it stale.
    pub interval: Duration,
    /// Where the source says itself how long a sample is good; pushed ones 90 s unless the push says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<Duration>,
    /// Older points, oldest first: from a range query or the sample store, to fill a gap that only we had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Point>,
    /// Over which replicas a mean was taken; nothing for a total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// The metric makes no sense for this target (requests without a route), and counts as 0.
    #[serde(default)]
    pub not_applicable: bool,
    /// A sample of the same name that this one outranks, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outranked: Option<Box<Reading>>,
}

impl Reading {
    /// A value that was measured at `at`.
    #[must_use]
    pub fn value(value: f64, at: Timestamp, source: Source, interval: Duration) -> Self {
        Self::of(Sample::Value { value, at }, source, interval)
    }

    /// Whatever is known.
    #[must_use]
    pub fn of(sample: Sample, source: Source, interval: Duration) -> Self {
        Self {
            sample,
            source,
            interval,
            stale_after: None,
            history: Vec::new(),
            coverage: None,
            not_applicable: false,
            outranked: None,
        }
    }

    /// The age from which on a sample says nothing any more.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        self.stale_after.unwrap_or(self.interval * INTERVALS_TO_STALE)
    }

    /// The sample as it counts at `now`: an old value is stale, a value that is no number is an error.
    #[must_use]
    pub fn judged(&self, now: Timestamp) -> Sample {
        match &self.sample {
            Sample::Value { value, .. } if !value.is_finite() => {
                Sample::Error { reason: format!("{value} is no number to compare with") }
            }
            Sample::Value { value, at } if now.since(*at) > self.stale_after() => {
                Sample::Stale { value: *value, at: *at }
            }
            other => other.clone(),
        }
    }

    /// The value, where there is a fresh one.
    #[must_use]
    pub fn fresh(&self, now: Timestamp) -> Option<Point> {
        match self.sample {
            Sample::Value { value, at } if value.is_finite() && now.since(at) <= self.stale_after() => {
                Some(Point { at, value })
            }
            _ => None,
        }
    }

    /// Every usable point, oldest first, the present one last.
    pub fn points(&self, now: Timestamp) -> impl Iterator<Item = Point> + '_ {
        let present = self.fresh(now);
        let before = present.map_or(now, |point| point.at);
        let older = self.history.iter().copied().filter(move |point| point.value.is_finite() && point.at < before);
        older.chain(present)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_sample_is_judged_by_its_age_and_by_being_a_number() {
        let at = Timestamp::from_micros(1_000_000_000);
        let later = |seconds| at.plus(Duration::from_secs(seconds));
        let reading = Reading::value(4.0, at, Source::Prometheus, 15 * SECOND);
        assert_eq!(reading.judged(later(45)), Sample::Value { value: 4.0, at });
        assert_eq!(reading.judged(later(46)), Sample::Stale { value: 4.0, at });
        let pushed = Reading { stale_after: Some(90 * SECOND), ..reading.clone() };
        assert_eq!(pushed.judged(later(90)), Sample::Value { value: 4.0, at });
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let reading = Reading::value(value, at, Source::Prometheus, SECOND);
            assert!(matches!(reading.judged(at), Sample::Error { .. }), "{value}");
            assert_eq!(reading.fresh(at), None);
        }
        assert_eq!(Reading::of(Sample::Missing, Source::Push, SECOND).fresh(at), None);
    }
}
