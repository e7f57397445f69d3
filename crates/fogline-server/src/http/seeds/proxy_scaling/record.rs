//! `POST /proxy/scaling/metrics/{proxyId}`.

use axum::extract::State;
use fogline_api::http::{LoadMetricsRequest, LoadMetricsResponse, ProblemKind};
use fogline_core::scaling::LoadScore;
use fogline_core::scaling::sample::builtin;
use fogline_core::spec::FieldError;

use super::latest::LOAD_SCORE;
use crate::http::answer::Changed;
use crate::http::app::App;
use crate::http::extract::{Body, Caller, PathId};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ChangeProblems;
use crate::http::v1::metrics::push::no_room;
use crate::scaling::PushedSample;

/// What one record of a proxy's load is made of.
const SAMPLES: usize = 6;

/// Takes the load of a proxy, and answers it with its score. It counts from the next evaluation on, for 90 seconds.
#[utoipa::path(
    post, path = "/proxy/scaling/metrics/{proxyId}", operation_id = "recordProxyMetrics", tag = "proxy scaling",
    params(("proxyId" = String, Path, description = "Id or name of a deployment, or the name of an outside proxy")),
    request_body = LoadMetricsRequest,
    responses((status = 200, description = "Taken", body = LoadMetricsResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Body { value: load, .. }: Body<LoadMetricsRequest>,
) -> ApiResult<Changed<LoadMetricsResponse>> {
    let proxy = super::proxy(&app, &caller, &id).await?;
    caller.must_write("telling what was measured")?;
    check(&load)?;
    let at = app.shared.clock.now();
    app.pushes.admit(caller.user.id, SAMPLES, at)?;
    let rate = proxy.target_request_rate();
    let score = LoadScore::new(load.cpu_percent, load.memory_percent, load.request_rate, load.error_rate, rate).total();
    let samples: [_; SAMPLES] = [
        (builtin::CPU_PERCENT, load.cpu_percent),
        (builtin::MEMORY_PERCENT, load.memory_percent),
        (builtin::REQUEST_RATE, load.request_rate),
        (builtin::ERROR_RATE, load.error_rate),
        (builtin::AVERAGE_LATENCY_MS, load.average_latency_ms),
        (LOAD_SCORE, score),
    ];
    let batch = samples.map(|(metric, value)| PushedSample {
        target: proxy.target.clone(),
        metric: metric.to_owned(),
        value,
        at,
        stale_after: None,
    });
    app.scaler()?.push(batch.into()).map_err(|refused| no_room(&refused))?;
    let body = LoadMetricsResponse {
        proxy_id: id,
        cpu_percent: Some(load.cpu_percent),
        memory_percent: Some(load.memory_percent),
        request_rate: Some(load.request_rate),
        average_latency_ms: Some(load.average_latency_ms),
        error_rate: Some(load.error_rate),
        load_score: Some(score),
        recorded_at: at,
    };
    Ok(Changed::ok(body, false))
}

/// Percentages are of a whole, and nothing is negative.
fn check(load: &LoadMetricsRequest) -> ApiResult<()> {
    let mut errors = Vec::new();
    for (field, value, most) in [
        ("cpuPercent", load.cpu_percent, Some(100.0)),
        ("memoryPercent", load.memory_percent, Some(100.0)),
        ("requestRate", load.request_rate, None),
        ("averageLatencyMs", load.average_latency_ms, None),
        ("errorRate", load.error_rate, Some(100.0)),
    ] {
        if !(value.is_finite() && value >= 0.0 && value <= most.unwrap_or(1e290)) {
            let accepted = if most.is_some() { "percent, 0 to 100" } else { "a number, 0 to 1e290" };
            errors.push(FieldError::new(field, format!("{value} is out of range"), accepted));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(ApiError::fields(ProblemKind::InvalidRequest, errors)) }
}
