//! `DELETE /api/v1/users/{id}`.

use axum::extract::State;
use fogline_core::command::{Command, Outcome};
use fogline_core::id::{UserId, canonical_id};

use crate::http::answer::{Gone, unexpected};
use crate::http::app::App;
use crate::http::extract::{Admin, NoBody, PathId, visible_user};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;

/// Removes a user and their deployments. Refused while any of their replicas is not gone.
#[utoipa::path(
    delete, path = "/api/v1/users/{id}", operation_id = "deleteUser", tag = "users",
    params(
        ("id" = String, Path, description = "The user's id or name"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    responses((status = 204, description = "Removed"), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(id): PathId,
    NoBody { key }: NoBody,
) -> ApiResult<Gone> {
    // An id is not looked up first: core answers a repeated request even when the user is gone.
    let user_id = match canonical_id::<UserId>(&id) {
        Some(id) => id,
        None => visible_user(&app, &id).await?.id,
    };
    let done = app.shared.writer.submit(caller.request(Command::DeleteUser { user_id }, key)).await?;
    match done.outcome {
        Outcome::UserDeleted { .. } => Ok(Gone { replayed: done.replayed }),
        other => Err(unexpected(&other)),
    }
}
