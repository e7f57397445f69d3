//! `GET /proxy/scaling/metrics/{proxyId}`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use fogline_api::http::LoadMetricsResponse;
use fogline_core::scaling::LoadScore;
use fogline_core::scaling::sample::{Point, Reading, builtin};
use fogline_core::time::Timestamp;

use crate::http::app::App;
use crate::http::extract::{Caller, PathId};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ReadProblems;

/// The name under which scores are recorded.
pub(super) const LOAD_SCORE: &str = "load_score";

/// The latest load of a proxy: what was recorded here, else what the system measures itself.
#[utoipa::path(
    get, path = "/proxy/scaling/metrics/{proxyId}", operation_id = "proxyMetrics", tag = "proxy scaling",
    params(("proxyId" = String, Path, description = "Id or name of a deployment, or the name of an outside proxy")),
    responses((status = 200, description = "The latest load", body = LoadMetricsResponse), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> ApiResult<Json<LoadMetricsResponse>> {
    let proxy = super::proxy(&app, &caller, &id).await?;
    let (readings, now) = (app.scaler()?.latest(&proxy.target), app.shared.clock.now());
    let snapshot = snapshot(&readings, proxy.target_request_rate(), now);
    let found = snapshot.ok_or_else(|| ApiError::not_found("a fresh sample of proxy", &id))?;
    Ok(Json(LoadMetricsResponse { proxy_id: id, ..found }))
}

/// What is fresh; nothing where nothing is.
fn snapshot(readings: &BTreeMap<String, Reading>, rate: f64, now: Timestamp) -> Option<LoadMetricsResponse> {
    let fresh = |metric: &str| readings.get(metric).and_then(|reading| reading.fresh(now));
    let names = [
        builtin::CPU_PERCENT,
        builtin::MEMORY_PERCENT,
        builtin::REQUEST_RATE,
        builtin::ERROR_RATE,
        builtin::AVERAGE_LATENCY_MS,
    ];
    let points = names.map(fresh);
    let recorded_at = points.iter().flatten().map(|point: &Point| point.at).max()?;
    let [cpu, memory, requests, errors, latency] = points.map(|point| point.map(|point| point.value));
    let score = |cpu, memory, requests, errors| LoadScore::new(cpu, memory, requests, errors, rate).total();
    Some(LoadMetricsResponse {
        proxy_id: String::new(),
        cpu_percent: cpu,
        memory_percent: memory,
        request_rate: requests,
        average_latency_ms: latency,
        error_rate: errors,
        load_score: cpu.zip(memory).zip(requests.zip(errors)).map(|((c, m), (r, e))| score(c, m, r, e)),
        recorded_at,
    })
}
