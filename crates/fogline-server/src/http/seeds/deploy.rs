//! `POST /api/deployment/deploy`.

use axum::extract::State;
use fogline_api::http::OperationResponse;
use fogline_core::spec::DeploymentSpec;

use crate::http::answer::Changed;
use crate::http::app::App;
use crate::http::extract::{Body, Caller};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;
use crate::http::v1::deployments::create;

/// Asks for a new deployment.
#[utoipa::path(
    post, path = "/api/deployment/deploy", operation_id = "seedDeploy", tag = "seeds",
    request_body = DeploymentSpec,
    responses((status = 202, description = "Accepted", body = OperationResponse), ChangeProblems),
)]
pub async fn handler(
    app: State<App>,
    caller: Caller,
    body: Body<DeploymentSpec>,
) -> ApiResult<Changed<OperationResponse>> {
    create::handler(app, caller, body).await
}
