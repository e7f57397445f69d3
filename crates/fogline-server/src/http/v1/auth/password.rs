//! `PUT /api/v1/auth/password`.
//!
//! Invariant: the password until now is asked for, and guessing it here is as slow as at the login, so a stolen access
//! token does not become a stolen account.

use axum::extract::State;
use fogline_api::http::{ChangePasswordRequest, ProblemKind};
use fogline_core::command::{Command, Outcome};

use super::check_new_password;
use super::login::{note_refusal, too_many};
use crate::auth::MAX_PASSWORD_BYTES;
use crate::http::answer::{Gone, unexpected};
use crate::http::app::App;
use crate::http::extract::{Body, Caller};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ChangeProblems;

/// Changes the caller's password and ends all their sessions, this one too.
#[utoipa::path(
    put, path = "/api/v1/auth/password", operation_id = "changePassword", tag = "auth",
    request_body = ChangePasswordRequest,
    responses((status = 204, description = "Changed; log in again"), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    Body { value, .. }: Body<ChangePasswordRequest>,
) -> ApiResult<Gone> {
    check_new_password("new_password", &value.new_password)?;
    let username = &caller.user.username;
    let now = app.shared.clock.now();
    let attempt = app.throttle.begin(username, caller.remote.ip(), now).map_err(too_many)?;
    let fits = value.current_password.len() <= MAX_PASSWORD_BYTES;
    let current = if fits { value.current_password } else { String::new() };
    let matches = match app.passwords.check(Some(caller.user.password_hash.clone()), current.into()).await {
        Ok(matches) => matches && fits,
        Err(error) => {
            app.throttle.withdrawn(attempt);
            return Err(error.into());
        }
    };
    if !matches {
        note_refusal(&app, caller.remote, username).await;
        return Err(ApiError::new(ProblemKind::LoginRefused, "the current password is wrong"));
    }
    app.throttle.succeeded(attempt);
    let hash = app.passwords.hash(value.new_password.into()).await?;
    let command = Command::UpdateUser {
        user_id: caller.user.id,
        password_hash: Some(hash),
        role: None,
        tier: None,
        disabled: None,
    };
    match app.shared.writer.submit(caller.request(command, None)).await?.outcome {
        Outcome::UserUpdated { .. } => Ok(Gone { replayed: false }),
        other => Err(unexpected(&other)),
    }
}
