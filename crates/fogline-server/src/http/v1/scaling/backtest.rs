//! `POST /api/v1/scaling/backtest`: a policy tried on a series. Changes nothing.
//!
//! Takes a place of its own before anything is read, and a thread, because a long series keeps a core busy for a while.
//! Invariant: however long the series, the answer is bounded.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{BacktestRequest, BacktestResponse, BacktestRow, Problem};
use fogline_core::id::PolicyId;
use fogline_core::scaling::Policy;
use fogline_core::scaling::backtest::{BacktestError, ChangeRecord, Moment, Row, Series, SeriesError, Setup, backtest};
use fogline_core::scaling::policy::{Span, TargetType};
use fogline_core::scaling::sample::builtin;
use fogline_core::shorten;

use super::policies::checked;
use crate::http::app::{App, Http};
use crate::http::extract::{Body, Caller, visible_policy};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ReadProblems;

mod recorded;

/// Moments that come along.
const MOST_ROWS: usize = 20_000;
/// Moments of each run that are shown.
const MOST_SHOWN: usize = 2_000;
/// Characters of a reason that are shown.
const MOST_REASON: usize = 500;

/// How a policy would have done on a series, beside a constant count and target tracking as Kubernetes does it. The first
/// 2,000 changes of each run are shown; `figures.changes` says how many there were. Not for viewers; one at a time a user.
#[utoipa::path(
    post, path = "/api/v1/scaling/backtest", operation_id = "backtestPolicy", tag = "scaling",
    request_body = BacktestRequest,
    responses(
        (status = 200, description = "How it would have done", body = BacktestResponse),
        (status = 403, description = "Viewers may not", body = Problem, content_type = "application/problem+json"),
        ReadProblems,
    ),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    Body { value: request, .. }: Body<BacktestRequest>,
) -> ApiResult<Json<BacktestResponse>> {
    caller.must_write("trying a policy")?;
    within("start_time", request.start_time, Span::ZERO, "0 to 1 h")?;
    within("interval", request.interval, Span::seconds(1), "1 s to 1 h")?;
    for (field, value) in [("capacity", request.capacity), ("replica_hourly_cost", request.replica_hourly_cost)] {
        if value.is_some_and(|value| !(value.is_finite() && value > 0.0)) {
            return Err(ApiError::field(field, "is out of range", "a number above 0"));
        }
    }
    let policy = policy(&app, &caller, &request).await?;
    let turn = app.backtests.take(caller.user.id)?;
    let series = series(&app, &caller, &request, &policy).await?;
    let load = load(request.load, &series)?;
    let capacity = request.capacity.or_else(|| declared_capacity(&policy, &load)).ok_or_else(|| {
        ApiError::field(
            "capacity",
            format!("is missing, and the policy has no target that says how much {load} a replica carries"),
            "a number above 0",
        )
    })?;
    let setup = Setup {
        load: load.clone(),
        capacity,
        start_time: request.start_time.0,
        interval: request.interval.0,
        initial: request.replicas,
        replica_hourly_cost: request.replica_hourly_cost,
    };
    // The place is the thread's, which goes on when its caller has gone.
    let run = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        backtest(&policy, &series, &setup).map_err(refused)
    });
    let mut report = run.await.map_err(|error| ApiError::internal("a backtest", &error))??;
    for run in [&mut report.policy, &mut report.fixed, &mut report.hpa] {
        thin_out(&mut run.moments);
        cut(&mut run.changes);
    }
    Ok(Json(BacktestResponse { load, capacity, report }))
}

async fn policy(app: &App, caller: &Caller, request: &BacktestRequest) -> ApiResult<Policy> {
    match (&request.policy, &request.policy_id) {
        // One that is only tried has no id of its own.
        (Some(spec), None) => checked(PolicyId::from_uuid(uuid::Uuid::from_u128(1)), spec.clone()),
        (None, Some(id)) => {
            let record = visible_policy(app, caller, id).await?;
            checked(record.id, record.spec)
        }
        (Some(_), Some(_)) => Err(ApiError::field("policy_id", "is there beside `policy`", "one of the two")),
        (None, None) => Err(ApiError::field("policy", "is missing", "a policy, or `policy_id`")),
    }
}

async fn series(app: &Http, caller: &Caller, request: &BacktestRequest, policy: &Policy) -> ApiResult<Series> {
    match (&request.series, &request.recorded) {
        (Some(rows), None) => supplied(rows),
        (None, Some(range)) => recorded::series(app, caller, request, range, policy).await,
        (Some(_), Some(_)) => Err(ApiError::field("recorded", "is there beside `series`", "one of the two")),
        (None, None) => Err(ApiError::field("series", "is missing", "moments, or `recorded`")),
    }
}

fn supplied(rows: &[BacktestRow]) -> ApiResult<Series> {
    if rows.len() > MOST_ROWS {
        let message = format!("{} moments are too many", rows.len());
        return Err(ApiError::field("series", message, format!("at most {MOST_ROWS}")));
    }
    let mut metrics: Vec<String> = rows.iter().flat_map(|row| row.values.keys().cloned()).collect();
    metrics.sort_unstable();
    metrics.dedup();
    // Each of them has a cell in every row.
    if metrics.len() > 32 {
        return Err(ApiError::field("series", format!("{} metrics are too many", metrics.len()), "at most 32"));
    }
    let cell = |row: &BacktestRow, metric: &String| row.values.get(metric).copied().flatten();
    let table = rows.iter().map(|row| {
        let values = metrics.iter().map(|metric| cell(row, metric)).collect();
        Row { at: row.at, values }
    });
    let table = table.collect();
    Series::new(metrics, table).map_err(|error| no_series("series", &error))
}

/// What is wrong with rows that are no series.
fn no_series(field: &str, error: &SeriesError) -> ApiError {
    let field = match error {
        SeriesError::NotRising { row } | SeriesError::Cells { row, .. } => format!("{field}[{row}]"),
        SeriesError::TooShort { .. } => field.to_owned(),
    };
    ApiError::field(field, error.to_string(), "at least two moments, each later than the one before")
}

fn load(asked: Option<String>, series: &Series) -> ApiResult<String> {
    if let Some(asked) = asked {
        return Ok(asked);
    }
    match series.metrics() {
        [only] => Ok(only.clone()),
        several if several.iter().any(|name| name == builtin::REQUEST_RATE) => Ok(builtin::REQUEST_RATE.to_owned()),
        several => {
            let accepted = format!("one of {}", several.join(", "));
            Err(ApiError::field("load", "is missing, and there are several metrics", accepted))
        }
    }
}

/// What the policy itself says that a replica carries.
fn declared_capacity(policy: &Policy, load: &str) -> Option<f64> {
    let spec = policy.spec();
    let tracked = spec.targets.iter().find(|target| target.metric == load && target.kind() == TargetType::AverageValue);
    tracked.map(|target| target.target)
}

fn within(field: &str, span: Span, least: Span, accepted: &str) -> ApiResult<()> {
    let fits = (least..=Span::seconds(3_600)).contains(&span);
    if fits { Ok(()) } else { Err(ApiError::field(field, format!("{span} is out of range"), accepted)) }
}

fn refused(error: BacktestError) -> ApiError {
    let (field, accepted) = match &error {
        BacktestError::NoLoad { .. } => ("load", "a metric of the series"),
        BacktestError::Capacity { .. } => ("capacity", "a number above 0"),
        BacktestError::TooLong { .. } => ("interval", "a longer one, or a part of the series"),
    };
    ApiError::field(field, error.to_string(), accepted)
}

/// The first ones, with short reasons.
fn cut(changes: &mut Vec<ChangeRecord>) {
    changes.truncate(MOST_SHOWN);
    for change in changes {
        shorten(&mut change.reason, MOST_REASON);
    }
}

/// Evenly spaced ones, the first and the last among them.
fn thin_out(moments: &mut Vec<Moment>) {
    let all = moments.len();
    if all > MOST_SHOWN {
        let step = |index: usize| index * (all - 1) / (MOST_SHOWN - 1);
        *moments = (0..MOST_SHOWN).map(|index| moments[step(index)]).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::time::Timestamp;

    #[test]
    fn an_answer_is_bounded() {
        let reason = "ä".repeat(10_000);
        let at = Timestamp::EPOCH;
        let mut changes: Vec<_> =
            (0..3_000).map(|to| ChangeRecord { at, from: 0, to, reason: reason.clone() }).collect();
        cut(&mut changes);
        assert_eq!((changes.len(), changes[0].to), (MOST_SHOWN, 0));
        assert!(changes.iter().all(|change| change.reason.chars().count() == MOST_REASON + 1));
        let mut short = vec![ChangeRecord { at, from: 0, to: 1, reason: "why".to_owned() }];
        cut(&mut short);
        assert_eq!(short[0].reason, "why");
    }
}
