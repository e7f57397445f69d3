//! `GET /healthz`: the process answers. Says nothing of the database, so that nobody restarts a server for a full disk.

use axum::Json;
use fogline_api::http::ProbeResponse;

/// Whether the process is alive.
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz", tag = "probes",
    responses((status = 200, description = "Alive", body = ProbeResponse)),
    security(()),
)]
pub async fn handler() -> Json<ProbeResponse> {
    Json(ProbeResponse { status: "ok".to_owned() })
}
