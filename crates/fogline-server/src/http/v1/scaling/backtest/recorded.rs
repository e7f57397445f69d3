//! The series that the server has recorded of a target: points of all its metrics, joined by their moments.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fogline_api::http::{BacktestRequest, RecordedRange};
use fogline_core::record::ScalingTarget;
use fogline_core::scaling::backtest::{Row, Series};
use fogline_core::scaling::policy::Span;
use fogline_core::scaling::sample::builtin;
use fogline_core::scaling::{Policy, metrics};
use fogline_core::time::Timestamp;

use super::{MOST_ROWS, no_series};
use crate::http::app::Http;
use crate::http::extract::{Caller, visible_policy, visible_target};
use crate::http::problem::{ApiError, ApiResult};
use crate::scaling::SeriesKey;

const DAY: Duration = Duration::from_secs(86_400);

pub(super) async fn series(
    app: &Http,
    caller: &Caller,
    request: &BacktestRequest,
    range: &RecordedRange,
    policy: &Policy,
) -> ApiResult<Series> {
    let target = target(app, caller, request, range, policy).await?;
    let now = app.shared.clock.now();
    let to = range.to.unwrap_or(now);
    let from = range.from.unwrap_or_else(|| to.minus(DAY));
    let step = range.step.unwrap_or(Span::seconds(60));
    if !(Span::seconds(10)..=Span::seconds(3_600)).contains(&step) {
        return Err(ApiError::field("recorded.step", format!("{step} is out of range"), "10 s to 1 h"));
    }
    if to <= from {
        return Err(ApiError::field("recorded.from", "is not before `to`", "an earlier time"));
    }
    if to.since(from).as_micros() / step.0.as_micros() > MOST_ROWS as u128 {
        let accepted = format!("at most {MOST_ROWS} points: a longer step, or a shorter range");
        return Err(ApiError::field("recorded.step", format!("{step} gives too many points"), accepted));
    }
    let mut names: BTreeSet<String> = metrics(std::slice::from_ref(policy));
    names.extend(request.load.clone());
    names.insert(builtin::REQUEST_RATE.to_owned());
    let scaler = app.scaler()?;
    let mut columns: Vec<(String, BTreeMap<Timestamp, f64>)> = Vec::new();
    for metric in names {
        let key = SeriesKey { target: target.to_string(), metric: metric.clone() };
        let read = scaler.history().range(&key, from, to, step.0).await;
        let buckets = read.map_err(|error| ApiError::internal("recorded samples", &error))?;
        if !buckets.is_empty() {
            columns.push((metric, buckets.into_iter().map(|bucket| (bucket.at, bucket.mean)).collect()));
        }
    }
    let moments: BTreeSet<Timestamp> = columns.iter().flat_map(|(_, points)| points.keys().copied()).collect();
    if moments.len() < 2 {
        let message = format!("nothing, or next to nothing, was recorded of {target} in that time");
        return Err(ApiError::field("recorded", message, "a time in which the server ran and the target had metrics"));
    }
    let row = |at: Timestamp| Row { at, values: columns.iter().map(|(_, points)| points.get(&at).copied()).collect() };
    let rows = moments.into_iter().map(row).collect();
    let names = columns.iter().map(|(metric, _)| metric.clone()).collect();
    Series::new(names, rows).map_err(|error| no_series("recorded", &error))
}

/// The target that is named, or the policy's own.
async fn target(
    app: &Http,
    caller: &Caller,
    request: &BacktestRequest,
    range: &RecordedRange,
    policy: &Policy,
) -> ApiResult<ScalingTarget> {
    if let Some(named) = &range.target {
        return visible_target(app, caller, named).await;
    }
    if let Some(id) = &request.policy_id {
        return Ok(visible_policy(app, caller, id).await?.target);
    }
    let spec = policy.spec();
    let named =
        spec.target_id.as_ref().map_or_else(|| spec.target_type.clone(), |id| format!("{}:{id}", spec.target_type));
    visible_target(app, caller, &named).await
}
