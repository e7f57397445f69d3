//! `POST /api/v1/deployments/{id}/start`.

use axum::extract::State;
use fogline_api::http::OperationResponse;
use fogline_core::command::{Command, Outcome};

use crate::http::answer::{Changed, unexpected};
use crate::http::app::App;
use crate::http::extract::{Caller, NoBody, PathId};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;

/// Starts a stopped or failed deployment with the number of replicas that it was left with.
#[utoipa::path(
    post, path = "/api/v1/deployments/{id}/start", operation_id = "startDeployment", tag = "deployments",
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
    let command = |deployment_id| Command::StartDeployment { deployment_id };
    let done = super::change(&app, &caller, &id, key, command).await?;
    let Outcome::DeploymentStarted { deployment_id, status, replicas } = done.outcome else {
        return Err(unexpected(&done.outcome));
    };
    let message =
        if status.wants_replicas() { "It runs already".to_owned() } else { format!("Starting {replicas} replicas") };
    Ok(Changed::accepted(super::operation(deployment_id, status, replicas, message), done.replayed))
}
