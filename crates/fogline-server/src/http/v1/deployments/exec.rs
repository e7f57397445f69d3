//! `POST /api/v1/deployments/{id}/replicas/{replica}/exec`: runs a command in a replica.
//!
//! Invariant: nothing is run before the audit log says who wants what run where. An Idempotency-Key is refused: a command
//! is not repeated, and its output is kept nowhere.

use std::time::Duration;

use axum::extract::State;
use fogline_api::http::{ExecCommandRequest, ExecCommandResponse, ProblemKind};
use fogline_api::protocol::MAX_EXEC_TIME;
use fogline_core::command::{Command, Rejection};
use fogline_core::id::ReplicaId;

use super::logs::replica_of;
use crate::WriteError;
use crate::http::app::App;
use crate::http::extract::{Body, Caller, PathIds, visible_deployment};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::CommandProblems;

/// Runs a command in a replica, with its environment and within its limits, and waits for its end.
#[utoipa::path(
    post, path = "/api/v1/deployments/{id}/replicas/{replica}/exec", operation_id = "execInReplica",
    tag = "deployments",
    params(
        ("id" = String, Path, description = "The deployment's id, or the caller's own name for it"),
        ("replica" = String, Path, description = "The replica's id"),
    ),
    request_body = ExecCommandRequest,
    responses((status = 200, description = "It has ended, with whatever exit code", body = ExecCommandResponse), CommandProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathIds(id, replica): PathIds,
    Body { value, key }: Body<ExecCommandRequest>,
) -> ApiResult<axum::Json<ExecCommandResponse>> {
    let deployment = visible_deployment(&app, &caller, &id).await?;
    if key.is_some() {
        let accepted = "no Idempotency-Key: a command that is sent twice is run twice";
        return Err(ApiError::field("Idempotency-Key", "is not for this".to_owned(), accepted));
    }
    let most = MAX_EXEC_TIME.as_secs();
    if !(1..=most).contains(&value.timeout_s.into()) {
        let message = format!("{} is out of range", value.timeout_s);
        return Err(ApiError::field("timeout_s", message, format!("1 to {most}")));
    }
    let replica_id: ReplicaId = replica.parse().map_err(|_| ApiError::not_found("replica", &replica))?;
    let (deployment_id, command) = (deployment.id, value.command.clone());
    let asked = Command::RunCommand { deployment_id, replica_id, command };
    match app.shared.writer.submit(caller.request(asked, None)).await {
        Ok(_) => {}
        // Core has forgotten those that have ended; their rows tell.
        Err(WriteError::Rejected(Rejection::NotFound { .. })) => {
            let ended = replica_of(&app, &deployment, &replica).await?;
            return Err(Rejection::NotRunning { replica: ended.id, status: ended.status }.into());
        }
        Err(error) => return Err(error.into()),
    }
    let node_id = replica_of(&app, &deployment, &replica).await?.node_id;
    let node_id = node_id.ok_or_else(|| ApiError::new(ProblemKind::NotRunning, "the replica's node was removed"))?;
    let deadline = Duration::from_secs(value.timeout_s.into());
    let output = app.shared.commands.run(caller.user.id, node_id, replica_id, value.command, deadline).await?;
    Ok(axum::Json(ExecCommandResponse {
        exit_code: output.exit_code,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        truncated: output.truncated,
    }))
}
