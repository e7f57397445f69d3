//! Replicas that take time to start, under a load that is given.
//!
//! Load is spread evenly over the ready replicas. A column of the series is shown to the policy as it is, with its own
//! times, so that gaps are gaps. What the series has not, and follows from the load, is derived: `request_rate` is the
//! load, `cpu_percent` the share of the ready capacity that is used. With a column `replicas` (the count when the series
//! was recorded), recorded `cpu_percent` and `memory_percent` are spread over the simulated replicas instead.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ChangeRecord, Series, Setup};
use crate::scaling::forecast::{Model, NoModel};
use crate::scaling::inputs::{Inputs, ProxySignal, ReplicaCounts, Run};
use crate::scaling::policy::{ForecastSpec, Policy};
use crate::scaling::sample::{Point, Reading, Sample, Source, builtin};
use crate::scaling::state::{Memory, State};
use crate::scaling::strategy::ceil;
use crate::scaling::{evaluate, metrics};
use crate::time::Timestamp;

/// The name under which the simulation shows what share of the ready capacity is used, percent.
pub const UTILIZATION: &str = "simulated_utilization";
const RECORDED_REPLICAS: &str = "replicas";

/// Changes of one run that are told with their reason.
const MOST_REASONS: usize = 2_000;

/// One moment of a run.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// The load.
    pub load: f64,
    /// Replicas that the load needs.
    pub demanded: u32,
    /// Replicas that were asked for: what is paid.
    pub asked: u32,
    /// Replicas that serve.
    pub ready: u32,
}

/// Replicas, each ready from a moment on, the soonest first.
struct Fleet {
    ready_from: Vec<Timestamp>,
    start_time: Duration,
}

impl Fleet {
    fn resize(&mut self, count: u32, now: Timestamp) {
        self.ready_from.sort_unstable();
        // Those that are not ready yet go first.
        self.ready_from.resize(count as usize, now.plus(self.start_time));
    }

    fn asked(&self) -> u32 {
        u32::try_from(self.ready_from.len()).unwrap_or(u32::MAX)
    }

    fn ready(&self, now: Timestamp) -> u32 {
        u32::try_from(self.ready_from.iter().filter(|from| **from <= now).count()).unwrap_or(u32::MAX)
    }
}

/// The load at each evaluation.
struct Load<'a> {
    series: &'a Series,
    column: usize,
    row: usize,
    last: f64,
}

impl<'a> Load<'a> {
    fn new(series: &'a Series, setup: &Setup) -> Self {
        let column = series.column(&setup.load).unwrap_or(0);
        Self { series, column, row: 0, last: 0.0 }
    }

    /// The load at `now`; an empty cell leaves it as it was.
    fn at(&mut self, now: Timestamp) -> f64 {
        let rows = self.series.rows();
        while rows.get(self.row + 1).is_some_and(|next| next.at <= now) {
            self.row += 1;
        }
        let value = rows[self.row].values[self.column].filter(|value| value.is_finite());
        self.last = value.map_or(self.last, |value| value.max(0.0));
        self.last
    }
}

fn demanded(load: f64, setup: &Setup) -> u32 {
    ceil(load / setup.capacity)
}

fn times(series: &Series, interval: Duration) -> impl Iterator<Item = Timestamp> {
    let (start, end) = (series.start(), series.start().plus(series.length()));
    std::iter::successors(Some(start), move |at| Some(at.plus(interval))).take_while(move |at| *at <= end)
}

/// A constant count that is enough for the peak.
pub(super) fn fixed(series: &Series, setup: &Setup) -> (Vec<Moment>, Vec<ChangeRecord>) {
    let mut load = Load::new(series, setup);
    let loads: Vec<(Timestamp, f64)> = times(series, setup.interval).map(|at| (at, load.at(at))).collect();
    let count = loads.iter().map(|(_, load)| demanded(*load, setup)).max().unwrap_or(0).max(1);
    let moment = |(at, load)| Moment { at, load, demanded: demanded(load, setup), asked: count, ready: count };
    (loads.into_iter().map(moment).collect(), Vec::new())
}

/// The policy under the load, evaluated every `every`. All runs are looked at equally often, so that their figures can be
/// compared.
pub(super) fn run(
    policy: &Policy,
    series: &Series,
    setup: &Setup,
    every: Duration,
) -> (Vec<Moment>, Vec<ChangeRecord>) {
    let policies = std::slice::from_ref(policy);
    let names = metrics(policies);
    let spec = policy.spec();
    let mut load = Load::new(series, setup);
    let first = demanded(load.at(series.start()), setup);
    let initial = setup.initial.unwrap_or(first).clamp(spec.min_replicas.max(1), spec.max_replicas);
    let mut fleet = Fleet { ready_from: vec![series.start(); initial as usize], start_time: setup.start_time };
    let mut state = State::resumed(Memory::default(), initial, series.start());
    let mut proxy = ProxySignal { at: series.start(), open: 0, held: 0, quiet_since: series.start(), sequence: 0 };
    let (mut moments, mut changes) = (Vec::new(), Vec::new());
    let mut evaluated: Option<Timestamp> = None;
    let mut forecast = Forecasting::new(spec.forecast.as_ref(), series, setup);
    for now in times(series, setup.interval) {
        let carried = load.at(now);
        let (asked, ready) = (fleet.asked(), fleet.ready(now));
        moments.push(Moment { at: now, load: carried, demanded: demanded(carried, setup), asked, ready });
        proxy = signal(proxy, carried, asked, now);
        if evaluated.is_some_and(|before| now.since(before) < every) {
            continue;
        }
        evaluated = Some(now);
        let scene = Scene { series, setup, row: load.row, load: carried, ready, now };
        let inputs = Inputs {
            run: Run::Backtest,
            replicas: ReplicaCounts { current: asked, ready, release_failing: false },
            readings: names.iter().filter_map(|name| Some((name.clone(), scene.reading(name)?))).collect(),
            forecasts: forecast.at(now).into_iter().map(|model| (policy.id(), model)).collect(),
            start_time: Some(setup.start_time),
            proxy: spec.scale_to_zero.then_some(proxy),
            manual: None,
            replica_hourly_cost: setup.replica_hourly_cost,
        };
        let (decision, next) = evaluate(policies, &inputs, &state, now);
        state = next;
        if decision.replicas != asked {
            fleet.resize(decision.replicas, now);
            // Each is counted; nobody reads thousands.
            let reason = if changes.len() < MOST_REASONS { decision.reason } else { String::new() };
            changes.push(ChangeRecord { at: now, from: asked, to: decision.replicas, reason });
        }
    }
    (moments, changes)
}

/// The model that one would have had at each moment.
struct Forecasting<'a> {
    spec: Option<&'a ForecastSpec>,
    history: Vec<Point>,
    fitted: Option<(Timestamp, Result<Arc<Model>, NoModel>)>,
}

impl<'a> Forecasting<'a> {
    fn new(spec: Option<&'a ForecastSpec>, series: &Series, setup: &Setup) -> Self {
        let column = spec.and_then(|spec| {
            let load = || (spec.metric == builtin::REQUEST_RATE).then(|| series.column(&setup.load)).flatten();
            series.column(&spec.metric).or_else(load)
        });
        let points = column.into_iter().flat_map(|column| {
            series.rows().iter().filter_map(move |row| Some(Point { at: row.at, value: row.values[column]? }))
        });
        Self { spec, history: points.collect(), fitted: None }
    }

    fn at(&mut self, now: Timestamp) -> Option<Result<Arc<Model>, NoModel>> {
        let season = self.spec?.season.0;
        let is_due = self.fitted.as_ref().is_none_or(|(at, _)| now.since(*at) >= Model::bucket(season));
        if is_due {
            let seen = self.history.partition_point(|point| point.at <= now);
            self.fitted = Some((now, Model::fit(season, &self.history[..seen], now).map(Arc::new)));
        }
        self.fitted.as_ref().map(|(_, model)| model.clone())
    }
}

fn signal(before: ProxySignal, load: f64, asked: u32, now: Timestamp) -> ProxySignal {
    let is_busy = load > 0.0;
    ProxySignal {
        at: now,
        open: u32::from(is_busy && asked > 0),
        held: u32::from(is_busy && asked == 0),
        quiet_since: if is_busy { now } else { before.quiet_since },
        sequence: before.sequence + u64::from(is_busy && asked == 0),
    }
}

/// What is there to be measured at one moment.
struct Scene<'a> {
    series: &'a Series,
    setup: &'a Setup,
    row: usize,
    load: f64,
    ready: u32,
    now: Timestamp,
}

impl Scene<'_> {
    fn reading(&self, name: &str) -> Option<Reading> {
        if name == UTILIZATION {
            return Some(self.derived(self.utilization()));
        }
        match self.series.column(name) {
            Some(column) => Some(self.recorded(name, column)),
            None if name == builtin::REQUEST_RATE => Some(self.recorded(name, self.series.column(&self.setup.load)?)),
            None if name == builtin::CPU_PERCENT => Some(self.derived(self.utilization())),
            None => None,
        }
    }

    fn recorded(&self, name: &str, column: usize) -> Reading {
        let row = &self.series.rows()[self.row];
        let sample = match row.values[column] {
            None => Sample::Missing,
            Some(value) => match self.spread(name, value) {
                Some(value) => Sample::Value { value, at: row.at },
                None => Sample::Missing,
            },
        };
        Reading::of(sample, Source::Series, self.series.interval())
    }

    /// A recorded mean, as it would be over the replicas that are ready in the simulation.
    fn spread(&self, name: &str, value: f64) -> Option<f64> {
        let is_mean = name == builtin::CPU_PERCENT || name == builtin::MEMORY_PERCENT;
        let Some(recorded) = self.series.column(RECORDED_REPLICAS).filter(|_| is_mean) else { return Some(value) };
        let recorded = self.series.rows()[self.row].values[recorded]?;
        (self.ready > 0).then(|| (value * recorded / f64::from(self.ready)).min(100.0))
    }

    /// What follows from the load is measured by the system itself, at this moment.
    fn derived(&self, value: Option<f64>) -> Reading {
        let sample = value.map_or(Sample::Missing, |value| Sample::Value { value, at: self.now });
        Reading::of(sample, Source::Builtin, self.setup.interval)
    }

    fn utilization(&self) -> Option<f64> {
        (self.ready > 0).then(|| (self.load / (self.setup.capacity * f64::from(self.ready)) * 100.0).min(100.0))
    }
}

/// Metrics that the policy names and nothing shows.
pub(super) fn missing_metrics(policy: &Policy, series: &Series) -> Vec<String> {
    let derived = [builtin::REQUEST_RATE, builtin::CPU_PERCENT];
    let names = metrics(std::slice::from_ref(policy)).into_iter();
    names.filter(|name| series.column(name).is_none() && !derived.contains(&name.as_str())).collect()
}
