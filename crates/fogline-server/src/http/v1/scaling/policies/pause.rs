//! `POST /api/v1/scaling/policies/{id}/pause`.

use std::time::Duration;

use axum::extract::State;
use fogline_api::http::{PausePolicyRequest, PolicyResponse};
use fogline_core::command::{Command, Outcome};
use fogline_core::time::Timestamp;

use super::Tagged;
use crate::http::answer::{Changed, unexpected};
use crate::http::app::App;
use crate::http::extract::{Body, Caller, PathId, policy_to_change};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ChangeProblems;

/// Has a policy neither vote nor bound for a while. After that it goes on by itself.
#[utoipa::path(
    post, path = "/api/v1/scaling/policies/{id}/pause", operation_id = "pausePolicy", tag = "scaling",
    params(
        ("id" = String, Path, description = "The policy's id, or the caller's own name for it"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    request_body = PausePolicyRequest,
    responses((status = 200, description = "The policy as it is now", body = PolicyResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Body { value, key }: Body<PausePolicyRequest>,
) -> ApiResult<Tagged<Changed<PolicyResponse>>> {
    let until = Some(end(value, app.shared.clock.now())?);
    let policy_id = policy_to_change(&app, &caller, &id, key.as_ref()).await?;
    let done = app.shared.writer.submit(caller.request(Command::PausePolicy { policy_id, until }, key)).await?;
    let Outcome::PolicyPaused { policy_id } = done.outcome else { return Err(unexpected(&done.outcome)) };
    super::after_change(&app, policy_id, done.replayed).await
}

fn end(request: PausePolicyRequest, now: Timestamp) -> ApiResult<Timestamp> {
    match (request.length, request.until) {
        (Some(length), None) if length.0 > Duration::ZERO => Ok(now.plus(length.0)),
        (Some(_), None) => Err(ApiError::field("for", "is no time at all", "a length such as \"2h\"")),
        (None, Some(until)) => Ok(until),
        (Some(_), Some(_)) => Err(ApiError::field("until", "is there beside `for`", "one of the two")),
        (None, None) => Err(ApiError::field("for", "is missing", "a length such as \"2h\", or `until` with a time")),
    }
}
