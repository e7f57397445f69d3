//! Which reading a name means: the policy's own source, else what was pushed, else what the system measures, else
//! PromQL.
//!
//! The first of them with a fresh value counts; where none is fresh, the first that says anything. Invariant: a pushed
//! sample outranks a built-in one of the same name only while it is fresh, or where the system does not measure it at
//! all: a pusher that fell silent is no 0. The record shows both. Stored policies on a target agree on the source of a
//! name; a draft that is tried beside them may not, and theirs counts. Tests: `tests/it/scaling`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fogline_core::record::ScalingTarget;
use fogline_core::scaling::policy::{MetricSpec, SourceKind};
use fogline_core::scaling::sample::{Point, Reading, Source, builtin};
use fogline_core::scaling::{Decision, Policy, metrics};
use fogline_core::time::Timestamp;

use super::archive::Archive;
use super::builtin::Usage;
use super::collector::{Asked, Collector};
use super::pushed::Pushed;
use crate::proxies::{Figures as Traffic, Measure};

/// How far before the last evaluation points are told once more: an answer may have been on its way then. Whoever counts
/// them knows which were counted.
const OVERLAP: Duration = Duration::from_secs(60);
/// The same for what proxies told: seconds are told of when they are over.
const TRAFFIC_OVERLAP: Duration = Duration::from_secs(5);
/// How often what the system measures itself is kept.
const KEPT_EVERY: Duration = Duration::from_secs(10);
/// The figure of a vote that is kept as a series of its own.
const LOAD_SCORE: &str = "load_score";

/// Where readings come from.
#[derive(Debug)]
pub(super) struct Readings {
    pub(super) collector: Collector,
    pub(super) pushed: Pushed,
    pub(super) archive: Archive,
    /// What proxies tell.
    pub(super) traffic: Arc<Traffic>,
    /// Whether names may be PromQL, because a server for all is set up.
    pub(super) prometheus: bool,
}

/// The metrics that some policies name, and where each comes from.
#[derive(Debug)]
pub(super) struct Plan {
    metrics: Vec<Metric>,
}

#[derive(Debug)]
struct Metric {
    name: String,
    /// The policy's own source.
    own: Option<Arc<Asked>>,
    /// The server for all, asked while nobody else says anything.
    last_resort: Option<Arc<Asked>>,
    /// The last point that was kept.
    kept: Timestamp,
}

impl Readings {
    /// Has everything asked that these policies name a source of their own for.
    pub(super) fn plan(&self, policies: &[Policy]) -> Plan {
        let mut names = metrics(policies);
        // The load of whoever is scaled by a score is shown with its latency, which is no part of it.
        let scored = policies.iter().any(|policy| policy.spec().load_score.is_some());
        names.extend(scored.then(|| builtin::AVERAGE_LATENCY_MS.to_owned()));
        // Forecasts are fitted to what is kept of it.
        names.extend(policies.iter().filter_map(|policy| Some(policy.spec().forecast.as_ref()?.metric.clone())));
        let names: Vec<String> = names.into_iter().collect();
        let specs: Vec<Option<&MetricSpec>> = names.iter().map(|name| own(policies, name)).collect();
        let mut asked = self.collector.want(specs.iter().copied().flatten()).into_iter();
        let metrics = names.into_iter().zip(specs).map(|(name, spec)| Metric {
            name,
            own: spec.and_then(|_| asked.next()),
            last_resort: None,
            kept: Timestamp::EPOCH,
        });
        Plan { metrics: metrics.collect() }
    }

    /// What is known now. `last` is when that was asked before.
    pub(super) fn now(
        &self,
        plan: &mut Plan,
        target: &ScalingTarget,
        usage: Option<&Usage>,
        last: Timestamp,
        now: Timestamp,
    ) -> BTreeMap<String, Reading> {
        let since = last.minus(OVERLAP);
        let mut readings = BTreeMap::new();
        for metric in &mut plan.metrics {
            let found = match &metric.own {
                Some(own) => own.reading(last, since),
                None => self.without_own(metric, target, usage, (last, since), now),
            };
            let Some(reading) = found else { continue };
            if let Some(point) = reading.fresh(now).filter(|_| !reading.not_applicable) {
                metric.keep(&self.archive, target, &reading, point);
            }
            readings.insert(metric.name.clone(), reading);
        }
        readings
    }

    fn without_own(
        &self,
        metric: &mut Metric,
        target: &ScalingTarget,
        usage: Option<&Usage>,
        (last, since): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Option<Reading> {
        let pushed = self.pushed.reading(target, &metric.name, since);
        let builtin = self.builtin(&metric.name, target, usage, last, now);
        if builtin.is_some() || !self.prometheus || pushed.as_ref().is_some_and(|told| told.fresh(now).is_some()) {
            metric.last_resort = None;
            return ranked(pushed, builtin, now);
        }
        let asked = metric.last_resort.get_or_insert_with(|| {
            let spec = promql(&metric.name);
            self.collector.want([&spec]).pop().expect("one for one")
        });
        ranked(pushed, asked.reading(last, since), now)
    }

    /// What the system measures itself: what agents tell, what proxies tell since `last`.
    pub(super) fn builtin(
        &self,
        name: &str,
        target: &ScalingTarget,
        usage: Option<&Usage>,
        last: Timestamp,
        now: Timestamp,
    ) -> Option<Reading> {
        match (Measure::named(name), target) {
            (Some(measure), ScalingTarget::Deployment(id)) => {
                let since = last.minus(TRAFFIC_OVERLAP);
                Some(self.traffic.reading(*id, measure, since, now))
            }
            _ => usage?.reading(name),
        }
    }

    /// As [`Self::now`], for policies that need not be evaluated regularly: asks what nobody has asked yet.
    pub(super) async fn once(
        &self,
        policies: &[Policy],
        target: &ScalingTarget,
        usage: Option<&Usage>,
        now: Timestamp,
    ) -> BTreeMap<String, Reading> {
        use futures_util::StreamExt;

        let asking = metrics(policies).into_iter().map(|name| async move {
            let reading = match own(policies, &name) {
                Some(spec) => Some(self.collector.once(spec).await),
                None => {
                    let pushed = self.pushed.reading(target, &name, Timestamp::EPOCH);
                    let builtin = self.builtin(&name, target, usage, now, now);
                    let told = builtin.is_some() || pushed.as_ref().is_some_and(|told| told.fresh(now).is_some());
                    if told || !self.prometheus {
                        ranked(pushed, builtin, now)
                    } else {
                        ranked(pushed, Some(self.collector.once(&promql(&name)).await), now)
                    }
                }
            };
            Some((name, reading?))
        });
        let readings = futures_util::stream::iter(asking).buffer_unordered(8);
        readings.filter_map(std::future::ready).collect().await
    }
}

impl Plan {
    /// Names of the metrics.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.metrics.iter().map(|metric| metric.name.as_str())
    }
}

impl Metric {
    fn keep(&mut self, archive: &Archive, target: &ScalingTarget, reading: &Reading, point: Point) {
        let due = match reading.source {
            // Kept when it came.
            Source::Push => false,
            Source::Builtin => point.at.since(self.kept) >= KEPT_EVERY,
            _ => point.at > self.kept,
        };
        if due {
            self.kept = point.at;
            archive.keep(target, &self.name, point);
        }
    }
}

impl Readings {
    /// Keeps the load score that a decision rests on, for charts.
    pub(super) fn keep_score(&self, target: &ScalingTarget, decision: &Decision) {
        let mut parts = decision.votes.iter().flat_map(|vote| &vote.parts);
        if let Some((_, value)) = parts.find(|(name, _)| name == LOAD_SCORE) {
            self.archive.keep(target, LOAD_SCORE, Point { at: decision.at, value: *value });
        }
    }
}

/// The one of two that counts. The other is shown where both have something to say.
pub(super) fn ranked(first: Option<Reading>, second: Option<Reading>, now: Timestamp) -> Option<Reading> {
    match (first, second) {
        // That something makes no sense for the target is no measurement: it does not stand in for one that has ended.
        (Some(first), Some(second)) if first.fresh(now).is_some() || second.not_applicable => {
            Some(Reading { outranked: Some(Box::new(second)), ..first })
        }
        (Some(first), Some(second)) => Some(Reading { outranked: Some(Box::new(first)), ..second }),
        (one, other) => one.or(other),
    }
}

fn own<'a>(policies: &'a [Policy], name: &str) -> Option<&'a MetricSpec> {
    policies.iter().find_map(|policy| policy.spec().metrics.get(name))
}

/// The question to the server for all that a bare name is.
fn promql(name: &str) -> MetricSpec {
    MetricSpec { query: Some(name.to_owned()), ..MetricSpec::new(SourceKind::Prometheus) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn reading(value: f64, age_s: i64, source: Source) -> Reading {
        let at = Timestamp::from_micros(NOW.as_micros() - age_s * 1_000_000);
        Reading::value(value, at, source, Duration::from_secs(10))
    }

    #[test]
    fn a_pushed_sample_outranks_while_it_is_fresh() {
        let (fresh, stale) = (reading(1.0, 30, Source::Push), reading(1.0, 31, Source::Push));
        let builtin = reading(2.0, 1, Source::Builtin);
        let found = ranked(Some(fresh), Some(builtin.clone()), NOW).expect("one");
        assert_eq!((found.source, found.outranked.map(|other| other.source)), (Source::Push, Some(Source::Builtin)));
        let found = ranked(Some(stale.clone()), Some(builtin), NOW).expect("one");
        assert_eq!((found.source, found.outranked.map(|other| other.source)), (Source::Builtin, Some(Source::Push)));
        assert_eq!(ranked(Some(stale.clone()), None, NOW).map(|found| found.source), Some(Source::Push));

        // Nobody measures requests of a target without a route: the silence of who pushed them is not 0 requests.
        let none = Reading { not_applicable: true, ..reading(0.0, 0, Source::Builtin) };
        let found = ranked(Some(stale), Some(none.clone()), NOW).expect("one");
        assert_eq!((found.source, found.fresh(NOW)), (Source::Push, None));
        assert!(found.outranked.is_some_and(|other| other.not_applicable));
        assert_eq!(ranked(None, Some(none), NOW).map(|found| found.source), Some(Source::Builtin));
    }
}
