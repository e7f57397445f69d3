//! `DELETE /api/deployment/{id}`, and the same under `/api/deployment/delete/{id}`, as the other doors are named.

use axum::extract::State;
use fogline_api::http::OperationResponse;

use crate::http::answer::Changed;
use crate::http::app::App;
use crate::http::extract::{Caller, NoBody, PathId};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;
use crate::http::v1::deployments::delete;

/// Deletes a deployment.
#[utoipa::path(
    delete, path = "/api/deployment/{id}", operation_id = "seedDelete", tag = "seeds",
    params(("id" = String, Path, description = "The deployment's id, or the caller's own name for it")),
    responses((status = 200, description = "Deleted", body = OperationResponse), ChangeProblems),
)]
pub async fn handler(
    app: State<App>,
    caller: Caller,
    id: PathId,
    body: NoBody,
) -> ApiResult<Changed<OperationResponse>> {
    delete::handler(app, caller, id, body).await
}

/// Deletes a deployment.
#[utoipa::path(
    delete, path = "/api/deployment/delete/{id}", operation_id = "seedDeleteNamed", tag = "seeds",
    params(("id" = String, Path, description = "The deployment's id, or the caller's own name for it")),
    responses((status = 200, description = "Deleted", body = OperationResponse), ChangeProblems),
)]
pub async fn named(app: State<App>, caller: Caller, id: PathId, body: NoBody) -> ApiResult<Changed<OperationResponse>> {
    handler(app, caller, id, body).await
}
