//! `GET /api/v1/scaling/policies/{id}`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::PolicyResponse;

use super::Tagged;
use crate::http::app::App;
use crate::http::extract::{Caller, PathId, visible_policy};
use crate::http::present;
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// One scaling policy.
#[utoipa::path(
    get, path = "/api/v1/scaling/policies/{id}", operation_id = "getPolicy", tag = "scaling",
    params(("id" = String, Path, description = "The policy's id, or the caller's own name for it")),
    responses((status = 200, description = "The policy", body = PolicyResponse), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> ApiResult<Tagged<Json<PolicyResponse>>> {
    let record = visible_policy(&app, &caller, &id).await?;
    let version = record.version;
    Ok(super::tagged(version, Json(present::policy(&app, record).await?)))
}
