//! Who did what, and who was refused.

use serde::Serialize;

use crate::id::{AuditId, UserId};
use crate::time::Timestamp;

/// A row of `audit_logs`. Written in the commit of the change it tells of; a refusal is written by itself.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[expect(missing_docs, reason = "the columns speak for themselves")]
pub struct AuditRecord {
    pub id: AuditId,
    pub at: Timestamp,
    pub actor: Option<UserId>,
    /// The actor's name at that time; for a failed login, the name that was tried.
    pub actor_name: String,
    /// Verb and noun, such as `deployment.scale`.
    pub action: &'static str,
    /// What it was done to, such as a deployment's id.
    pub object: String,
    /// `ok`, or the stable type of the refusal.
    pub outcome: String,
    /// The caller's address, where it came over a network.
    pub remote: Option<String>,
    /// In words.
    pub detail: String,
}
