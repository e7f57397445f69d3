//! `POST /api/deployment/scale/{id}`.

use axum::extract::State;
use fogline_api::http::{OperationResponse, ScaleRequest};

use crate::http::answer::Changed;
use crate::http::app::App;
use crate::http::extract::{Body, Caller, PathId};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;
use crate::http::v1::deployments::scale;

/// Sets the number of replicas.
#[utoipa::path(
    post, path = "/api/deployment/scale/{id}", operation_id = "seedScale", tag = "seeds",
    params(("id" = String, Path, description = "The deployment's id, or the caller's own name for it")),
    request_body = ScaleRequest,
    responses((status = 200, description = "Accepted", body = OperationResponse), ChangeProblems),
)]
pub async fn handler(
    app: State<App>,
    caller: Caller,
    id: PathId,
    body: Body<ScaleRequest>,
) -> ApiResult<Changed<OperationResponse>> {
    scale::handler(app, caller, id, body).await
}
