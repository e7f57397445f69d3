//! `GET /api/v1/deployments/{id}/traffic`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{ReplicaTrafficResponse, TrafficResponse, TrafficSecond};

use crate::http::app::App;
use crate::http::extract::{Caller, PathId, visible_deployment};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;
use crate::proxies::{LoadPoint, Measure, ReplicaLoad};

/// The last two minutes of a deployment's requests, second by second, and each replica's part. Of a deployment without a
/// route there are none.
#[utoipa::path(
    get, path = "/api/v1/deployments/{id}/traffic", operation_id = "deploymentTraffic", tag = "deployments",
    params(("id" = String, Path, description = "The deployment's id, or the caller's own name for it")),
    responses((status = 200, description = "Its requests", body = TrafficResponse), ReadProblems),
)]
pub async fn handler(State(app): State<App>, caller: Caller, PathId(id): PathId) -> ApiResult<Json<TrafficResponse>> {
    let record = visible_deployment(&app, &caller, &id).await?;
    let term = app.term()?;
    let at = app.shared.clock.now();
    let load = term.traffic.load(record.id).unwrap_or_default();
    Ok(Json(TrafficResponse {
        deployment_id: record.id,
        at,
        proxies: u32::try_from(term.traffic.proxies(at)).unwrap_or(u32::MAX),
        open: load.open,
        held: load.held,
        seconds: load.points.iter().map(second).collect(),
        replicas: load.replicas.into_iter().map(replica).collect(),
    }))
}

fn second(point: &LoadPoint) -> TrafficSecond {
    let amount = |measure| point.value(measure).unwrap_or_default();
    TrafficSecond {
        at: point.at,
        request_rate: amount(Measure::RequestRate),
        error_rate: amount(Measure::ErrorRate),
        concurrency: amount(Measure::Concurrency),
        average_latency_ms: point.value(Measure::LatencyMean),
        latency_p50_ms: point.median_ms(),
        latency_p95_ms: point.value(Measure::LatencyP95),
        latency_p99_ms: point.value(Measure::LatencyP99),
    }
}

fn replica(load: ReplicaLoad) -> ReplicaTrafficResponse {
    let ReplicaLoad { replica_id, open, ended, failed, average_latency_ms, ejected } = load;
    ReplicaTrafficResponse { replica_id, open, requests: ended, errors: failed, average_latency_ms, ejected }
}
