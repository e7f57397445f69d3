//! `POST /api/v1/auth/refresh`.
//!
//! Invariant: a refresh token is good once. Showing one that was used up ends the session, for thief and owner alike.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{Problem, ProblemKind, RefreshRequest, TokenResponse};
use fogline_core::command::{Command, Outcome, Rejection, Request};

use crate::auth::RefreshToken;
use crate::http::answer::unexpected;
use crate::http::app::App;
use crate::http::extract::{OpenBody, Remote};
use crate::http::limits::Asker;
use crate::http::problem::{ApiError, ApiResult};

/// Trades a refresh token for new tokens.
#[utoipa::path(
    post, path = "/api/v1/auth/refresh", operation_id = "refresh", tag = "auth",
    request_body = RefreshRequest,
    responses(
        (status = 200, description = "Tokens; the one that was sent is used up", body = TokenResponse),
        (status = 400, description = "A field cannot be accepted", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The session has ended", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub async fn handler(
    State(app): State<App>,
    remote: Remote,
    OpenBody(body): OpenBody<RefreshRequest>,
) -> ApiResult<Json<TokenResponse>> {
    let now = app.shared.clock.now();
    if let Some(ip) = remote.ip() {
        app.limits.admit(Asker::Stranger(ip), now)?;
    }
    let (session_id, shown) = RefreshToken::parse(&body.refresh_token).ok_or(Rejection::SessionEnded)?;
    let next = RefreshToken::generate();
    let command = Command::RotateSession {
        session_id,
        presented: shown.hash(),
        next: next.hash(),
        expires_at: now.plus(app.shared.config.refresh_token_ttl),
    };
    let request = Request { remote: remote.text(), ..Request::system(command) };
    match app.shared.writer.submit(request).await?.outcome {
        Outcome::SessionRotated { session_id, user_id } => super::tokens(&app, user_id, session_id, &next).map(Json),
        Outcome::SessionRevoked { session_id } => {
            tracing::warn!(%session_id, remote = ?remote.0, "an old refresh token was shown: the session has ended");
            let detail =
                "this refresh token was used before, so somebody else may have it: the session has ended, log in again";
            Err(ApiError::new(ProblemKind::SessionEnded, detail))
        }
        other => Err(unexpected(&other)),
    }
}
