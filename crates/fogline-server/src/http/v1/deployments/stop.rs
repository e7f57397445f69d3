//! `POST /api/v1/deployments/{id}/stop`.

use axum::extract::State;
use fogline_api::http::OperationResponse;
use fogline_core::command::{Command, Outcome};
use fogline_core::state::DeploymentStatus;

use crate::http::answer::{Changed, unexpected};
use crate::http::app::App;
use crate::http::extract::{Caller, NoBody, PathId};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;

/// Stops every replica and keeps the deployment, to be started again.
#[utoipa::path(
    post, path = "/api/v1/deployments/{id}/stop", operation_id = "stopDeployment", tag = "deployments",
    params(
        ("id" = String, Path, description = "The deployment's id, or the caller's own name for it"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    responses((status = 202, description = "Accepted", body = OperationResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    NoBody { key }: NoBody,
) -> ApiResult<Changed<OperationResponse>> {
    let command = |deployment_id| Command::StopDeployment { deployment_id };
    let done = super::change(&app, &caller, &id, key, command).await?;
    let Outcome::DeploymentStopped { deployment_id, replicas } = done.outcome else {
        return Err(unexpected(&done.outcome));
    };
    let message = format!("Stopping {replicas} replicas");
    let body = super::operation(deployment_id, DeploymentStatus::Stopped, replicas, message);
    Ok(Changed::accepted(body, done.replayed))
}
