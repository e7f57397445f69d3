//! `GET /readyz`: the database can be read, and changes are taken, here or by the leader that this server passes them to.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{Problem, ProblemKind, ReadyResponse, ScalingEngineState, ScalingEngineStatus, ServerRole};
use fogline_core::time::Timestamp;
use fogline_store::PageRequest;

use crate::http::app::App;
use crate::http::problem::{ApiError, ApiResult};
use crate::leadership::Role;
use crate::scaling::ScalerHealth;

/// Whether requests can be answered, and what this server is among those that share its database.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "probes",
    responses(
        (status = 200, description = "Ready", body = ReadyResponse),
        (status = 503, description = "Not ready", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub async fn handler(State(app): State<App>) -> ApiResult<Json<ReadyResponse>> {
    let shared = &app.shared;
    let refuse = |kind, detail: &str| Err(ApiError::new(kind, detail).retry_after_s(1));
    // Only that it answers, not what.
    if let Err(error) = shared.store.nodes(&PageRequest::first(1)).await {
        tracing::warn!(%error, "not ready: the database cannot be read");
        return refuse(ProblemKind::DatabaseUnavailable, "the database cannot be read");
    }
    let (role, leader, epoch) = match shared.leadership.role() {
        Role::Stopping => return refuse(ProblemKind::Unavailable, "the server is stopping"),
        Role::Leading(_) if !shared.writer.accepts() => {
            let detail = "the server takes no changes: its disk is full, the database does not answer, or it has just \
                          ceased to lead";
            return refuse(ProblemKind::Unavailable, detail);
        }
        Role::Leading(term) => (ServerRole::Leader, shared.advertised.clone(), term.mandate.epoch()),
        Role::Standby { leader: Some(leader) } => (ServerRole::Standby, leader.http.clone(), leader.epoch),
        Role::Standby { leader: None } => {
            return refuse(ProblemKind::NoLeader, "no server leads at the moment: changes are taken once one does");
        }
    };
    let (status, database) = ("ready".to_owned(), "reached".to_owned());
    let scaling = shared.scaler().map(|scaler| scaling(&scaler.health(), shared.clock.now()));
    Ok(Json(ReadyResponse { status, role, leader, epoch, database, lost: shared.witness.lost(), scaling }))
}

fn scaling(health: &ScalerHealth, now: Timestamp) -> ScalingEngineState {
    let status = match (health.running, health.is_well(now)) {
        (false, _) => ScalingEngineStatus::Stopped,
        (true, false) => ScalingEngineStatus::Late,
        (true, true) => ScalingEngineStatus::Running,
    };
    ScalingEngineState {
        status,
        last_round_at: health.last_round,
        lag_ms: u64::try_from(health.lag.as_millis()).unwrap_or(u64::MAX),
        targets: health.targets as u64,
        sources: health.sources as u64,
        failing_sources: health.failing_sources as u64,
    }
}
