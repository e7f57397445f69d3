//! `GET /api/v1/deployments/{id}/decisions`: what `fogline why` shows.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{DecisionResponse, Page};
use fogline_core::record::ScalingTarget;

use crate::http::app::App;
use crate::http::extract::{Caller, Paging, Params, PathId, visible_deployment};
use crate::http::present;
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// Decisions about a deployment's count, newest first: with inputs, votes and every step. Those that changed something are
/// kept for ever, those that changed their mind for a week, all for some minutes.
#[utoipa::path(
    get, path = "/api/v1/deployments/{id}/decisions", operation_id = "listDeploymentDecisions", tag = "deployments",
    params(("id" = String, Path, description = "The deployment's id, or the caller's own name for it"), Paging),
    responses((status = 200, description = "A page of decisions", body = Page<DecisionResponse>), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Params(paging): Params<Paging>,
) -> ApiResult<Json<Page<DecisionResponse>>> {
    let request = paging.request()?;
    let record = visible_deployment(&app, &caller, &id).await?;
    let target = ScalingTarget::Deployment(record.id);
    Ok(Json(present::decisions(&app, &target, None, request).await?))
}
