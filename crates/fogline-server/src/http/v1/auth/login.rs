//! `POST /api/v1/auth/login`. The seeds' door answers with the same handler.
//!
//! Invariant: a refused login tells nothing of which part was wrong, in words or in time, and costs the next one a
//! pause.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use fogline_api::http::{LoginRequest, ProblemKind, TokenResponse};
use fogline_core::command::{Command, Outcome, Request};
use fogline_core::record::UserRecord;

use crate::auth::{MAX_PASSWORD_BYTES, RefreshToken};
use crate::http::answer::unexpected;
use crate::http::app::{App, Http};
use crate::http::extract::{OpenBody, Remote};
use crate::http::problem::{ApiError, ApiResult, shown};
use crate::http::problem_docs::LoginProblems;

/// Trades name and password for tokens.
#[utoipa::path(
    post, path = "/api/v1/auth/login", operation_id = "login", tag = "auth",
    request_body = LoginRequest,
    responses((status = 200, description = "Tokens", body = TokenResponse), LoginProblems),
    security(()),
)]
pub async fn handler(
    State(app): State<App>,
    remote: Remote,
    OpenBody(body): OpenBody<LoginRequest>,
) -> ApiResult<Json<TokenResponse>> {
    let now = app.shared.clock.now();
    let attempt = app.throttle.begin(&body.username, remote.ip(), now).map_err(too_many)?;
    let user = match checked(&app, &body.username, body.password).await {
        Ok(user) => user,
        Err(error) => {
            app.throttle.withdrawn(attempt);
            return Err(error);
        }
    };
    let Some(user) = user else {
        note_refusal(&app, remote, &body.username).await;
        let detail = "user name or password is wrong, or the user is disabled";
        return Err(ApiError::new(ProblemKind::LoginRefused, detail));
    };
    app.throttle.succeeded(attempt);

    let refresh = RefreshToken::generate();
    let expires_at = now.plus(app.shared.config.refresh_token_ttl);
    let command = Command::OpenSession { user_id: user.id, refresh_hash: refresh.hash(), expires_at };
    let request = Request { remote: remote.text(), ..Request::system(command) };
    match app.shared.writer.submit(request).await?.outcome {
        Outcome::SessionOpened { session_id } => super::tokens(&app, user.id, session_id, &refresh).map(Json),
        other => Err(unexpected(&other)),
    }
}

/// The user of this name, if the password is theirs and they are not disabled.
async fn checked(app: &Http, username: &str, password: String) -> ApiResult<Option<UserRecord>> {
    let user = app.shared.store.user_by_name(username).await?;
    let fits = password.len() <= MAX_PASSWORD_BYTES;
    let password = if fits { password } else { String::new() };
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let matches = app.passwords.check(hash, password.into()).await? && fits;
    Ok(user.filter(|user| matches && !user.disabled))
}

/// A pause that is not over.
pub fn too_many(wait: Duration) -> ApiError {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let detail = format!("too many refused logins: wait {seconds} s before the next one");
    ApiError::new(ProblemKind::TooManyRequests, detail).retry_after_s(seconds)
}

/// Leaves a line in the audit log. That it cannot be written is no reason to let anybody in, nor to answer otherwise.
pub async fn note_refusal(app: &Http, remote: Remote, username: &str) {
    let username: String = shown(username).chars().take(64).collect();
    tracing::warn!(%username, remote = ?remote.0, "login refused");
    let command =
        Command::NoteRefusedLogin { username, reason: "user name or password is wrong, or the user is disabled" };
    let request = Request { remote: remote.text(), ..Request::system(command) };
    if let Err(error) = app.shared.writer.submit(request).await {
        tracing::warn!(%error, "a refused login is not in the audit log");
    }
}
