//! `DELETE /api/v1/scaling/policies/{id}/pause`.

use axum::extract::State;
use fogline_api::http::PolicyResponse;
use fogline_core::command::{Command, Outcome};

use super::Tagged;
use crate::http::answer::{Changed, unexpected};
use crate::http::app::App;
use crate::http::extract::{Caller, NoBody, PathId, policy_to_change};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;

/// Ends a pause. One that is not paused stays as it is.
#[utoipa::path(
    delete, path = "/api/v1/scaling/policies/{id}/pause", operation_id = "resumePolicy", tag = "scaling",
    params(
        ("id" = String, Path, description = "The policy's id, or the caller's own name for it"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    responses((status = 200, description = "The policy as it is now", body = PolicyResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    NoBody { key }: NoBody,
) -> ApiResult<Tagged<Changed<PolicyResponse>>> {
    let policy_id = policy_to_change(&app, &caller, &id, key.as_ref()).await?;
    let command = Command::PausePolicy { policy_id, until: None };
    let done = app.shared.writer.submit(caller.request(command, key)).await?;
    let Outcome::PolicyPaused { policy_id } = done.outcome else { return Err(unexpected(&done.outcome)) };
    super::after_change(&app, policy_id, done.replayed).await
}
