//! `POST /api/v1/deployments/{id}/scale`. The seeds' door answers with the same handler.

use std::cmp::Ordering;

use axum::extract::State;
use fogline_api::http::{OperationResponse, ScaleRequest};
use fogline_core::command::{Command, Outcome};
use fogline_core::state::DeploymentStatus;

use crate::http::answer::{Changed, unexpected};
use crate::http::app::App;
use crate::http::extract::{Body, Caller, PathId};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;

/// Sets the number of replicas. A scale-up that does not fit changes nothing and is refused with 503.
#[utoipa::path(
    post, path = "/api/v1/deployments/{id}/scale", operation_id = "scaleDeployment", tag = "deployments",
    params(
        ("id" = String, Path, description = "The deployment's id, or the caller's own name for it"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    request_body = ScaleRequest,
    responses((status = 200, description = "Accepted", body = OperationResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Body { value, key }: Body<ScaleRequest>,
) -> ApiResult<Changed<OperationResponse>> {
    let command = |deployment_id| Command::ScaleDeployment { deployment_id, replicas: value.replicas };
    let done = super::change(&app, &caller, &id, key, command).await?;
    let Outcome::Scaled { deployment_id, status, from, to } = done.outcome else {
        return Err(unexpected(&done.outcome));
    };
    Ok(Changed::ok(super::operation(deployment_id, status, to, message(status, from, to)), done.replayed))
}

/// In the seeds' words, where replicas run or will.
fn message(status: DeploymentStatus, from: u32, to: u32) -> String {
    match from.cmp(&to) {
        Ordering::Equal => format!("Already at {to} replicas"),
        _ if status == DeploymentStatus::Stopped => {
            format!("Target set from {from} to {to} replicas; they run once the deployment is started")
        }
        Ordering::Less => format!("Scaled up to {to} replicas ({} added)", to - from),
        Ordering::Greater => format!("Scaled down to {to} replicas ({} removed)", from - to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_words() {
        use DeploymentStatus::{Running, Stopped};
        assert_eq!(message(Running, 3, 5), "Scaled up to 5 replicas (2 added)");
        assert_eq!(message(Running, 5, 2), "Scaled down to 2 replicas (3 removed)");
        assert_eq!(message(Running, 3, 3), "Already at 3 replicas");
        assert!(message(Stopped, 3, 5).starts_with("Target set from 3 to 5 replicas"));
    }
}
