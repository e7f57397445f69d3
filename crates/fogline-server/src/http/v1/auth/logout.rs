//! `POST /api/v1/auth/logout`.

use axum::extract::State;
use fogline_core::command::{Command, Outcome};

use crate::http::answer::{Gone, unexpected};
use crate::http::app::App;
use crate::http::extract::{Caller, NoBody};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;

/// Ends the session of the access token; it and its refresh token are worth nothing from then on.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", operation_id = "logout", tag = "auth",
    responses((status = 204, description = "Ended"), ChangeProblems),
)]
pub async fn handler(State(app): State<App>, caller: Caller, _: NoBody) -> ApiResult<Gone> {
    let command = Command::RevokeSession { session_id: caller.session_id };
    let done = app.shared.writer.submit(caller.request(command, None)).await?;
    match done.outcome {
        Outcome::SessionRevoked { .. } => Ok(Gone { replayed: false }),
        other => Err(unexpected(&other)),
    }
}
