//! Logging in and out.

use fogline_core::id::{SessionId, UserId};
use fogline_core::record::{Role, Tier};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /api/auth/login`, `POST /api/v1/auth/login`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The user's name.
    #[schema(example = "admin")]
    pub username: String,
    /// Their password.
    pub password: String,
}

/// `POST /api/v1/auth/refresh`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// The newest refresh token of the session. It is used up by this.
    pub refresh_token: String,
}

/// `POST /api/v1/auth/logout`. The body may be left out: the session of the access token ends.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogoutRequest {}

/// `PUT /api/v1/auth/password`. Ends every session of the user, this one too.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePasswordRequest {
    /// The password until now.
    pub current_password: String,
    /// The password from now on, 8 to 1024 bytes.
    pub new_password: String,
}

/// Tokens, after a login or a refresh.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenResponse {
    /// What goes into `Authorization: Bearer …`.
    pub access_token: String,
    /// Always `bearer`.
    pub token_type: String,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    /// What gets the next access token. Good for one use.
    pub refresh_token: String,
    /// Seconds until the refresh token expires.
    pub refresh_expires_in: u64,
}

/// `GET /api/v1/auth/me`: who the caller is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "as in UserResponse")]
pub struct MeResponse {
    pub id: UserId,
    pub username: String,
    pub role: Role,
    pub tier: Tier,
    /// The session that the token belongs to.
    pub session_id: SessionId,
}
