//! `PUT /api/v1/deployments/{id}`.

use std::sync::Arc;

use axum::extract::State;
use fogline_api::http::OperationResponse;
use fogline_core::command::{Command, IdempotencyKey, Outcome};
use fogline_core::id::DeploymentId;
use fogline_core::spec::DeploymentSpec;

use crate::http::answer::{Changed, unexpected};
use crate::http::app::{App, Http};
use crate::http::extract::{Body, Caller, PathId, deployment_to_change};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;

/// Gives a deployment a whole new spec. What is left out takes its default, the number of replicas too. The name stays.
#[utoipa::path(
    put, path = "/api/v1/deployments/{id}", operation_id = "replaceDeployment", tag = "deployments",
    params(
        ("id" = String, Path, description = "The deployment's id, or the caller's own name for it"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    request_body = DeploymentSpec,
    responses((status = 200, description = "Accepted", body = OperationResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Body { value, key }: Body<DeploymentSpec>,
) -> ApiResult<Changed<OperationResponse>> {
    let id = deployment_to_change(&app, &caller, &id, key.as_ref()).await?;
    update(&app, &caller, id, value, None, key).await
}

/// Gives a deployment a new spec, made from `based_on` where it was made from another.
///
/// # Errors
/// When a field cannot be accepted, the deployment is not the caller's to change, or it is not as it was.
pub async fn update(
    app: &Http,
    caller: &Caller,
    id: DeploymentId,
    spec: DeploymentSpec,
    based_on: Option<Arc<DeploymentSpec>>,
    key: Option<IdempotencyKey>,
) -> ApiResult<Changed<OperationResponse>> {
    let command = Command::UpdateDeployment { deployment_id: id, spec: Arc::new(spec), based_on };
    let done = app.shared.writer.submit(caller.request(command, key)).await?;
    let Outcome::DeploymentUpdated { deployment_id, status, replicas, revision, rolling } = done.outcome else {
        return Err(unexpected(&done.outcome));
    };
    let message = if rolling {
        format!("Updated to revision {revision}; replicas are replaced one at a time")
    } else {
        format!("Updated; the revision is {revision}")
    };
    let body = OperationResponse {
        revision: Some(revision),
        rolling: Some(rolling),
        ..super::operation(deployment_id, status, replicas, message)
    };
    Ok(Changed::ok(body, done.replayed))
}
