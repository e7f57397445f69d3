//! `DELETE /api/v1/scaling/policies/{id}`.

use axum::extract::State;
use fogline_core::command::{Command, Outcome};

use crate::http::answer::{Gone, unexpected};
use crate::http::app::App;
use crate::http::extract::{Caller, NoBody, PathId, policy_to_change};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;

/// Removes a scaling policy. Its target keeps the replicas that it has; decisions that the policy took part in stay.
#[utoipa::path(
    delete, path = "/api/v1/scaling/policies/{id}", operation_id = "deletePolicy", tag = "scaling",
    params(
        ("id" = String, Path, description = "The policy's id, or the caller's own name for it"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    responses((status = 204, description = "Removed"), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    NoBody { key }: NoBody,
) -> ApiResult<Gone> {
    let policy_id = policy_to_change(&app, &caller, &id, key.as_ref()).await?;
    let done = app.shared.writer.submit(caller.request(Command::DeletePolicy { policy_id }, key)).await?;
    match done.outcome {
        Outcome::PolicyDeleted { .. } => Ok(Gone { replayed: done.replayed }),
        other => Err(unexpected(&other)),
    }
}
