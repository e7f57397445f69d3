//! Users, as an administrator sees them. No password or hash ever goes out.

use fogline_core::id::UserId;
use fogline_core::record::{Role, Tier};
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /api/v1/users`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUserRequest {
    /// 1 to 64 letters, digits, `-`, `_`, `.` and `@`; unique.
    pub username: String,
    /// 8 to 1024 bytes.
    pub password: String,
    /// What the user may do; `user` when nothing is said.
    #[serde(default = "default_role")]
    pub role: Role,
    /// How much the user may have; `free` when nothing is said.
    #[serde(default = "default_tier")]
    pub tier: Tier,
}

const fn default_role() -> Role {
    Role::User
}

const fn default_tier() -> Tier {
    Tier::Free
}

/// `PATCH /api/v1/users/{id}`: changes what is there. A new password, a new role and `disabled` end the user's sessions.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "as in CreateUserRequest")]
pub struct PatchUserRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Whether the user is kept out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// A user.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "as in CreateUserRequest")]
pub struct UserResponse {
    pub id: UserId,
    pub username: String,
    pub role: Role,
    pub tier: Tier,
    pub disabled: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
