//! Users.

use fogline_api::http::UserResponse;
use fogline_core::record::UserRecord;

/// A user, without their hash.
#[must_use]
pub fn user(record: UserRecord) -> UserResponse {
    UserResponse {
        id: record.id,
        username: record.username,
        role: record.role,
        tier: record.tier,
        disabled: record.disabled,
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}
