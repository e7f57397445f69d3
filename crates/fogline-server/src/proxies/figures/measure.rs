//! Readings and views of what proxies told.
//!
//! Invariant: what no proxy has told is missing, not 0; what nothing can be measured of (latency, while no request ends) is
//! not applicable. Tests: [`super::tests`].

use std::time::Duration;

use fogline_core::id::{DeploymentId, ReplicaId};
use fogline_core::scaling::sample::{Point, Reading, Sample, Source, builtin};
use fogline_core::time::Timestamp;

use super::second::Second;
use super::series::{KEPT_SECONDS, Series};
use super::{Book, Figures, SECOND_US};

/// How often proxies tell.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a second says something of the present. Longer than three intervals: a second is told of when it is over, by
/// the slowest proxy.
const STALE_AFTER: Duration = Duration::from_secs(5);

/// How far back a latency is looked for, where requests are rare.
const LATENCY_SECONDS: i64 = 10;

/// What is measured of requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Measure {
    /// Requests a second.
    RequestRate,
    /// Requests that are open or held, mean over the second.
    Concurrency,
    /// Failed requests, percent of those that ended.
    ErrorRate,
    /// Milliseconds from the first byte of a request to the last of its answer, mean.
    LatencyMean,
    /// What 95 % stayed below.
    LatencyP95,
    /// What 99 % stayed below.
    LatencyP99,
}

impl Measure {
    /// All of them, by the names that policies use.
    pub(crate) const ALL: [(&'static str, Self); 6] = [
        (builtin::REQUEST_RATE, Self::RequestRate),
        (builtin::CONCURRENCY, Self::Concurrency),
        (builtin::ERROR_RATE, Self::ErrorRate),
        (builtin::AVERAGE_LATENCY_MS, Self::LatencyMean),
        (builtin::LATENCY_P95_MS, Self::LatencyP95),
        (builtin::LATENCY_P99_MS, Self::LatencyP99),
    ];

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, measure)| *measure)
    }

    fn of(self, second: &Second) -> Option<f64> {
        let flow = &second.flow;
        match self {
            Self::RequestRate => Some(flow.begun),
            Self::Concurrency => Some(second.busy),
            Self::ErrorRate => Some(flow.error_percent()),
            Self::LatencyMean => flow.mean_ms(),
            Self::LatencyP95 => flow.quantile_ms(0.95),
            Self::LatencyP99 => flow.quantile_ms(0.99),
        }
    }

    const fn is_latency(self) -> bool {
        matches!(self, Self::LatencyMean | Self::LatencyP95 | Self::LatencyP99)
    }
}

/// One second of a deployment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct LoadPoint {
    /// When it ended.
    pub(crate) at: Timestamp,
    second: Second,
}

impl LoadPoint {
    /// What is measured; nothing where there is nothing to measure it of.
    pub(crate) fn value(&self, measure: Measure) -> Option<f64> {
        measure.of(&self.second)
    }

    /// What half of the requests stayed below, milliseconds.
    pub(crate) fn median_ms(&self) -> Option<f64> {
        self.second.flow.quantile_ms(0.5)
    }
}

/// One replica's part.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct ReplicaLoad {
    /// Which.
    pub(crate) replica_id: ReplicaId,
    /// Requests that are with it.
    pub(crate) open: u64,
    /// Requests that have ended there while this server leads.
    pub(crate) ended: u64,
    /// Of those, failed.
    pub(crate) failed: u64,
    /// Their mean, milliseconds; nothing where none has ended.
    pub(crate) average_latency_ms: Option<f64>,
    /// Whether a proxy gives it nothing for a while.
    pub(crate) ejected: bool,
}

/// All that is known of a deployment's requests.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct ServiceLoad {
    /// Requests with a replica.
    pub(crate) open: u64,
    /// Requests that wait.
    pub(crate) held: u64,
    /// The last seconds, oldest first.
    pub(crate) points: Vec<LoadPoint>,
    /// Its replicas that are in the table.
    pub(crate) replicas: Vec<ReplicaLoad>,
}

impl Figures {
    /// What is known of a measure, with a point for each second after `since`.
    pub(crate) fn reading(&self, id: DeploymentId, measure: Measure, since: Timestamp, now: Timestamp) -> Reading {
        let none = Reading { not_applicable: true, ..Reading::value(0.0, now, Source::Builtin, INTERVAL) };
        let book = self.lock();
        // Nobody sees requests of what has no route.
        let Some(series) = book.services.get(&id) else { return none };
        let mut reading = Reading::of(Sample::Missing, Source::Builtin, INTERVAL);
        reading.stale_after = Some(STALE_AFTER);
        let Some((first, last)) = book.seconds(series) else { return reading };
        let after = since.as_micros().div_euclid(SECOND_US);
        let earliest = if measure.is_latency() { after.min(last - LATENCY_SECONDS + 1) } else { after };
        let points = (first.max(earliest)..=last).filter_map(|start| {
            let value = measure.of(&series.second(start))?;
            Some(Point { at: end_of(start), value })
        });
        reading.history = points.collect();
        match reading.history.pop() {
            Some(Point { at, value }) => {
                // Of rare requests, the last ones are the best word.
                if measure.is_latency() && now.since(end_of(last)) <= STALE_AFTER {
                    reading.stale_after = Some(STALE_AFTER + INTERVAL * LATENCY_SECONDS as u32);
                }
                reading.sample = Sample::Value { value, at };
            }
            None if measure.is_latency() && now.since(end_of(last)) <= STALE_AFTER => return none,
            // Older than what was asked for: all that there is.
            None => {
                if let Some(value) = measure.of(&series.second(last)) {
                    reading.sample = Sample::Value { value, at: end_of(last) };
                }
            }
        }
        reading
    }

    /// A deployment is being evaluated: from now on changes of its load count from here.
    pub(crate) fn evaluated(&self, id: DeploymentId) {
        let mut book = self.lock();
        let last = book.last_second();
        if let Some(series) = book.services.get_mut(&id) {
            let second = last.map(|last| series.second(last)).unwrap_or_default();
            series.evaluated = Some((second.flow.begun, second.busy));
        }
    }

    /// Requests a second in the last second that is known; nothing where none is.
    pub(crate) fn rate(&self, id: DeploymentId, now: Timestamp) -> Option<f64> {
        self.reading(id, Measure::RequestRate, now, now).fresh(now).map(|point| point.value)
    }

    /// Requests with a replica, and requests that wait, by way of one proxy.
    pub(crate) fn open_and_held(&self, session: u64) -> (u64, u64) {
        let book = self.lock();
        let each = book.services.values().map(|series| series.of_session(session));
        each.fold((0, 0), |(open, held), (more, waiting)| (open + more, held + waiting))
    }

    /// All that is known of a deployment with a route.
    pub(crate) fn load(&self, id: DeploymentId) -> Option<ServiceLoad> {
        let book = self.lock();
        let series = book.services.get(&id)?;
        let (open, held) = series.open_and_held();
        let seconds = book.seconds(series).map(|(first, last)| first..=last).into_iter().flatten();
        let points = seconds.map(|start| LoadPoint { at: end_of(start), second: series.second(start) }).collect();
        let replicas = series.upstreams().map(|replica_id| {
            let (open, ejected) = series.replica(replica_id);
            let of = series.replicas.get(&replica_id).copied().unwrap_or_default();
            let average_latency_ms = (of.ended > 0).then(|| of.latency_sum.as_secs_f64() * 1_000.0 / of.ended as f64);
            ReplicaLoad { replica_id, open, ended: of.ended, failed: of.failed, average_latency_ms, ejected }
        });
        Some(ServiceLoad { open, held, points, replicas: replicas.collect() })
    }
}

impl Book {
    /// The whole seconds that are known of a deployment: the starts of the first and the last.
    fn seconds(&self, series: &Series) -> Option<(i64, i64)> {
        let (since, _) = self.covered?;
        let last = self.last_second()?;
        let began = since.max(series.since).as_micros();
        // The second in which it began is not whole.
        let first = began.div_euclid(SECOND_US) + i64::from(began.rem_euclid(SECOND_US) > 0);
        let first = first.max(last + 1 - KEPT_SECONDS as i64);
        (first <= last).then_some((first, last))
    }
}

fn end_of(start: i64) -> Timestamp {
    Timestamp::from_micros((start + 1) * SECOND_US)
}
