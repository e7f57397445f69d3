//! `GET /api/v1/scaling/policies/{id}/decisions`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{DecisionResponse, Page};

use crate::http::app::App;
use crate::http::extract::{Caller, Paging, Params, PathId, visible_policy};
use crate::http::present;
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// Decisions that the policy had a part in, newest first: with inputs, votes and every step. Those that changed something
/// are kept for ever, those that changed their mind for a week, all for some minutes. A page may be short, and yet have a
/// next one.
#[utoipa::path(
    get, path = "/api/v1/scaling/policies/{id}/decisions", operation_id = "listPolicyDecisions", tag = "scaling",
    params(("id" = String, Path, description = "The policy's id, or the caller's own name for it"), Paging),
    responses((status = 200, description = "A page of decisions", body = Page<DecisionResponse>), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Params(paging): Params<Paging>,
) -> ApiResult<Json<Page<DecisionResponse>>> {
    let request = paging.request()?;
    let record = visible_policy(&app, &caller, &id).await?;
    Ok(Json(present::decisions(&app, &record.target, Some(record.id), request).await?))
}
