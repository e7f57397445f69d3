//! `GET /proxy/scaling/summary/{proxyId}`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use fogline_api::http::{Direction, EventCounts, ProxySummaryResponse, SeriesSummary, Trend};
use fogline_core::record::ScalingTarget;
use fogline_core::scaling::LoadScore;
use fogline_core::scaling::decision::Action;
use fogline_core::scaling::sample::builtin;
use fogline_core::time::Timestamp;
use fogline_store::DecisionCount;
use serde::Deserialize;
use utoipa::IntoParams;

use super::latest::LOAD_SCORE;
use crate::http::app::{App, Http};
use crate::http::extract::{Caller, Params, PathId};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ReadProblems;
use crate::scaling::{Bucket, SeriesKey};

const DEFAULT_HOURS: u32 = 24;
/// As long as samples are kept.
const MOST_HOURS: u32 = 24 * 30;
/// Points of a figure, more or less: enough for its trend.
const POINTS: u32 = 500;
/// Change over the window, in parts of the mean, below which a figure is steady.
const STEADY: f64 = 0.1;

/// How far back.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Query {
    /// Hours, 1 to 720; 24 when nothing is said.
    #[param(minimum = 1, maximum = 720)]
    pub hours_back: Option<u32>,
}

/// What was done to a proxy and what its load was like, with where it is going.
#[utoipa::path(
    get, path = "/proxy/scaling/summary/{proxyId}", operation_id = "proxySummary", tag = "proxy scaling",
    params(("proxyId" = String, Path, description = "Id or name of a deployment, or the name of an outside proxy"), Query),
    responses((status = 200, description = "The summary", body = ProxySummaryResponse), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Params(query): Params<Query>,
) -> ApiResult<Json<ProxySummaryResponse>> {
    let hours_back = query.hours_back.unwrap_or(DEFAULT_HOURS);
    if !(1..=MOST_HOURS).contains(&hours_back) {
        let message = format!("{hours_back} is out of range");
        return Err(ApiError::field("hoursBack", message, format!("1 to {MOST_HOURS}")));
    }
    let proxy = super::proxy(&app, &caller, &id).await?;
    let _turn = app.summaries.take(caller.user.id)?;
    let window = Duration::from_secs(u64::from(hours_back) * 3_600);
    let to = app.shared.clock.now();
    let from = to.minus(window);
    let events = counted(&app.shared.store.decision_counts(&proxy.target, from).await?);
    let metrics = figures(&app, &proxy.target, proxy.target_request_rate(), from, to).await?;
    Ok(Json(ProxySummaryResponse { proxy_id: id, hours_back, from, to, events, metrics }))
}

fn counted(counts: &[DecisionCount]) -> EventCounts {
    let mut events = EventCounts::default();
    let (mut timed, mut took) = (0_u64, Duration::ZERO);
    for one in counts.iter().filter(|one| one.action != Action::Hold) {
        let kind = if one.action == Action::ScaleUp { "scale_up" } else { "scale_down" };
        events.total += one.count;
        *events.by_type.entry(kind.to_owned()).or_default() += one.count;
        *events.by_trigger.entry(one.trigger.as_str().to_owned()).or_default() += one.count;
        *events.by_outcome.entry(one.status.as_str().to_owned()).or_default() += one.count;
        timed += one.timed;
        took += one.took;
    }
    events.mean_duration_ms = (timed > 0).then(|| took.as_secs_f64() * 1_000.0 / timed as f64);
    events
}

async fn figures(
    app: &Http,
    target: &ScalingTarget,
    rate: f64,
    from: Timestamp,
    to: Timestamp,
) -> ApiResult<BTreeMap<String, SeriesSummary>> {
    let step = (to.since(from) / POINTS).max(Duration::from_secs(10));
    let scaler = app.scaler()?;
    let mut found: BTreeMap<&str, Vec<Bucket>> = BTreeMap::new();
    for metric in [
        builtin::CPU_PERCENT,
        builtin::MEMORY_PERCENT,
        builtin::REQUEST_RATE,
        builtin::ERROR_RATE,
        builtin::AVERAGE_LATENCY_MS,
        LOAD_SCORE,
    ] {
        let key = SeriesKey { target: target.to_string(), metric: metric.to_owned() };
        let buckets = scaler.history().range(&key, from, to, step).await;
        found.insert(metric, buckets.map_err(|error| ApiError::internal("recorded samples", &error))?);
    }
    if found[LOAD_SCORE].is_empty() {
        let scores = scores(&found, rate);
        found.insert(LOAD_SCORE, scores);
    }
    let shown = [
        (builtin::CPU_PERCENT, "cpuPercent"),
        (builtin::MEMORY_PERCENT, "memoryPercent"),
        (builtin::REQUEST_RATE, "requestRate"),
        (builtin::AVERAGE_LATENCY_MS, "averageLatencyMs"),
        (builtin::ERROR_RATE, "errorRate"),
        (LOAD_SCORE, "loadScore"),
    ];
    Ok(shown.iter().filter_map(|(metric, name)| Some(((*name).to_owned(), summary(&found[metric])?))).collect())
}

/// Scores of the moments of which all four parts are known.
fn scores(found: &BTreeMap<&str, Vec<Bucket>>, rate: f64) -> Vec<Bucket> {
    let at = |metric: &str| -> BTreeMap<Timestamp, Bucket> {
        found[metric].iter().map(|bucket| (bucket.at, *bucket)).collect()
    };
    let (memory, requests, errors) = (at(builtin::MEMORY_PERCENT), at(builtin::REQUEST_RATE), at(builtin::ERROR_RATE));
    let score = |cpu: &Bucket| {
        let (memory, requests, errors) = (memory.get(&cpu.at)?, requests.get(&cpu.at)?, errors.get(&cpu.at)?);
        let of = |pick: fn(&Bucket) -> f64| {
            LoadScore::new(pick(cpu), pick(memory), pick(requests), pick(errors), rate).total()
        };
        Some(Bucket { mean: of(|bucket| bucket.mean), max: of(|bucket| bucket.max), ..*cpu })
    };
    found[builtin::CPU_PERCENT].iter().filter_map(score).collect()
}

fn summary(buckets: &[Bucket]) -> Option<SeriesSummary> {
    let (first, last) = (buckets.first()?, buckets.last()?);
    let weight: f64 = buckets.iter().map(|bucket| bucket.count as f64).sum();
    let mean = buckets.iter().map(|bucket| bucket.mean * bucket.count as f64).sum::<f64>() / weight.max(1.0);
    let peak = buckets.iter().map(|bucket| bucket.max).fold(f64::MIN, f64::max);
    let hours = |at: Timestamp| at.since(first.at).as_secs_f64() / 3_600.0;
    let points: Vec<(f64, f64)> = buckets.iter().map(|bucket| (hours(bucket.at), bucket.mean)).collect();
    let per_hour = slope(&points);
    let change = per_hour * hours(last.at);
    let direction = match () {
        () if change.abs() <= STEADY * mean.abs() => Direction::Steady,
        () if change > 0.0 => Direction::Rising,
        () => Direction::Falling,
    };
    Some(SeriesSummary { mean, peak, latest: last.mean, trend: Trend { direction, per_hour } })
}

/// Least squares; 0 where all are of one moment.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (mean_x, mean_y) =
        (points.iter().map(|(x, _)| x).sum::<f64>() / n, points.iter().map(|(_, y)| y).sum::<f64>() / n);
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(values: &[f64]) -> Vec<Bucket> {
        let at = |index: usize| Timestamp::from_micros(1_764_064_800_000_000 + index as i64 * 1_800_000_000);
        let bucket = |(index, value): (usize, &f64)| Bucket { at: at(index), mean: *value, max: value + 1.0, count: 2 };
        values.iter().enumerate().map(bucket).collect()
    }

    #[test]
    fn a_trend_is_the_line_that_fits_best() {
        for (values, per_hour, direction) in [
            (&[10.0, 20.0, 30.0][..], 20.0, Direction::Rising),
            (&[30.0, 20.0, 10.0], -20.0, Direction::Falling),
            (&[50.0, 50.5, 50.0], 0.0, Direction::Steady),
            (&[7.0], 0.0, Direction::Steady),
            (&[0.0, 0.0], 0.0, Direction::Steady),
        ] {
            let found = summary(&buckets(values)).expect("there are some");
            assert!((found.trend.per_hour - per_hour).abs() < 1e-9, "{found:?}");
            assert_eq!(found.trend.direction, direction, "{values:?}");
        }
        let found = summary(&buckets(&[10.0, 20.0, 60.0])).expect("there are some");
        assert_eq!((found.mean, found.peak, found.latest), (30.0, 61.0, 60.0));
        assert_eq!(summary(&[]), None);
    }

    #[test]
    fn a_score_is_made_where_all_its_parts_are() {
        let figures = |memory: &[f64]| {
            BTreeMap::from([
                (builtin::CPU_PERCENT, buckets(&[50.0, 50.0])),
                (builtin::MEMORY_PERCENT, buckets(memory)),
                (builtin::REQUEST_RATE, buckets(&[500.0, 500.0])),
                (builtin::ERROR_RATE, buckets(&[0.0, 0.0])),
            ])
        };
        let found = scores(&figures(&[40.0]), 1_000.0);
        assert_eq!(found.iter().map(|bucket| bucket.mean).collect::<Vec<_>>(), [42.0]);
        assert_eq!(scores(&figures(&[]), 1_000.0).len(), 0);
    }
}
