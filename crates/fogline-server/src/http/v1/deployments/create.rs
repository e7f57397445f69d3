//! `POST /api/v1/deployments`. The seeds' door answers with the same handler.

use std::sync::Arc;

use axum::extract::State;
use fogline_api::http::OperationResponse;
use fogline_core::command::{Command, Outcome};
use fogline_core::spec::DeploymentSpec;
use fogline_core::state::DeploymentStatus;

use crate::http::answer::{Changed, unexpected};
use crate::http::app::App;
use crate::http::extract::{Body, Caller};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;

/// Asks for a new deployment. It is accepted when it is saved; its status and history say what becomes of it.
#[utoipa::path(
    post, path = "/api/v1/deployments", operation_id = "createDeployment", tag = "deployments",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe")),
    request_body = DeploymentSpec,
    responses((status = 202, description = "Accepted", body = OperationResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    Body { value, key }: Body<DeploymentSpec>,
) -> ApiResult<Changed<OperationResponse>> {
    let command = Command::Deploy { spec: Arc::new(value) };
    let done = app.shared.writer.submit(caller.request(command, key)).await?;
    let Outcome::Deployed { deployment_id, replicas } = done.outcome else { return Err(unexpected(&done.outcome)) };
    let message = format!("Deployment queued. Use /status/{deployment_id} to track progress.");
    // Whatever has become of it by now.
    let body = super::operation(deployment_id, DeploymentStatus::Pending, replicas, message);
    let location = Some(format!("/api/v1/deployments/{deployment_id}"));
    Ok(Changed { location, ..Changed::accepted(body, done.replayed) })
}
