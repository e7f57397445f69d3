//! `DELETE /api/v1/deployments/{id}`. The seeds' doors answer with the same handler.

use axum::extract::State;
use fogline_api::http::OperationResponse;
use fogline_core::command::{Command, Outcome};
use fogline_core::state::DeploymentStatus;

use crate::http::answer::{Changed, unexpected};
use crate::http::app::App;
use crate::http::extract::{Caller, NoBody, PathId};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;

/// Stops every replica and deletes the deployment. Its history is kept, its name is free again.
#[utoipa::path(
    delete, path = "/api/v1/deployments/{id}", operation_id = "deleteDeployment", tag = "deployments",
    params(
        ("id" = String, Path, description = "The deployment's id, or the caller's own name for it"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    responses((status = 200, description = "Deleted", body = OperationResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    NoBody { key }: NoBody,
) -> ApiResult<Changed<OperationResponse>> {
    let command = |deployment_id| Command::DeleteDeployment { deployment_id };
    let done = super::change(&app, &caller, &id, key, command).await?;
    let Outcome::DeploymentDeleted { deployment_id } = done.outcome else { return Err(unexpected(&done.outcome)) };
    let message = "Deployment deleted; its replicas are being stopped".to_owned();
    Ok(Changed::ok(super::operation(deployment_id, DeploymentStatus::Deleted, 0, message), done.replayed))
}
