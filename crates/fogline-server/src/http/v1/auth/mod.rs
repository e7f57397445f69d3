//! `/api/v1/auth`: logging in and out.

pub mod login;
pub mod logout;
pub mod me;
pub mod password;
pub mod refresh;

use fogline_api::http::{ProblemKind, TokenResponse};
use fogline_core::id::{SessionId, UserId};
use fogline_core::spec::FieldError;

use crate::auth::{MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES, RefreshToken};
use crate::http::app::Http;
use crate::http::problem::{ApiError, ApiResult};

/// The tokens of a session.
fn tokens(app: &Http, user: UserId, session: SessionId, refresh: &RefreshToken) -> ApiResult<TokenResponse> {
    let now = app.shared.clock.now();
    let access_token =
        app.tokens.issue(user, session, now).map_err(|error| ApiError::internal("signing an access token", &error))?;
    Ok(TokenResponse {
        access_token,
        token_type: "bearer".to_owned(),
        expires_in: app.tokens.ttl_s(),
        refresh_token: refresh.reveal(session),
        refresh_expires_in: app.shared.config.refresh_token_ttl.as_secs(),
    })
}

/// Checks a password that somebody wants from now on.
///
/// # Errors
/// When it is too short or too long; the error does not repeat it.
pub fn check_new_password(field: &str, password: &str) -> ApiResult<()> {
    if (MIN_PASSWORD_BYTES..=MAX_PASSWORD_BYTES).contains(&password.len()) {
        return Ok(());
    }
    let accepted = format!("{MIN_PASSWORD_BYTES} to {MAX_PASSWORD_BYTES} bytes");
    let error = FieldError::new(field, format!("has {} bytes", password.len()), accepted);
    Err(ApiError::fields(ProblemKind::InvalidRequest, vec![error]))
}
