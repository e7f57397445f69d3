//! Answers kept so that a repeated request is answered, not done again.

use crate::command::Outcome;
use crate::id::UserId;
use crate::time::Timestamp;

/// A row of `idempotency_keys`. Commits with the change it answers for.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the columns speak for themselves")]
pub struct IdempotencyRecord {
    pub user_id: UserId,
    pub key: String,
    /// SHA-256 of method, path and body: the same key with another request is refused.
    pub fingerprint: [u8; 32],
    pub outcome: Outcome,
    pub created_at: Timestamp,
}
