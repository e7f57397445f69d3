//! Logins.

use crate::id::{SessionId, UserId};
use crate::time::Timestamp;

/// A row of `sessions`. Holds hashes of refresh tokens, never a token.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the columns speak for themselves")]
pub struct SessionRecord {
    pub id: SessionId,
    pub user_id: UserId,
    /// SHA-256 of the refresh token that is valid now.
    pub refresh_hash: [u8; 32],
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}
