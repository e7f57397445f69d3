//! `GET /api/v1/deployments/{id}`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::DeploymentResponse;

use crate::http::app::App;
use crate::http::extract::{Caller, PathId, visible_deployment};
use crate::http::present;
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// One deployment: what was asked for, and how far it is true.
#[utoipa::path(
    get, path = "/api/v1/deployments/{id}", operation_id = "getDeployment", tag = "deployments",
    params(("id" = String, Path, description = "The deployment's id, or the caller's own name for it")),
    responses((status = 200, description = "The deployment", body = DeploymentResponse), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> ApiResult<Json<DeploymentResponse>> {
    let record = visible_deployment(&app, &caller, &id).await?;
    Ok(Json(present::detail(&app, record).await?))
}
