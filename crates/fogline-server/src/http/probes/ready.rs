//! `GET /readyz`: changes are taken and the database can be read.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{ProbeResponse, Problem, ProblemKind};
use fogline_store::PageRequest;

use crate::http::app::App;
use crate::http::problem::{ApiError, ApiResult};

/// Whether requests can be answered.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "probes",
    responses(
        (status = 200, description = "Ready", body = ProbeResponse),
        (status = 503, description = "Not ready", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub async fn handler(State(app): State<App>) -> ApiResult<Json<ProbeResponse>> {
    let refuse = |detail: &str| Err(ApiError::new(ProblemKind::Unavailable, detail).retry_after_s(1));
    if !app.shared.writer.accepts() {
        return refuse("the server takes no changes: it is stopping, or its disk is full");
    }
    if let Err(error) = app.shared.store.nodes(&PageRequest::first(1)).await {
        tracing::error!(%error, "not ready: the database cannot be read");
        return refuse("the database cannot be read");
    }
    Ok(Json(ProbeResponse { status: "ready".to_owned() }))
}
