//! The audit log.

use fogline_core::id::{AuditId, UserId};
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A line of `GET /api/v1/audit`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditId,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it; absent for Fogline itself and for somebody who has not logged in.
    #[serde(default)]
    pub actor: Option<UserId>,
    /// The actor's name then; for a refused login, the name that was tried.
    pub actor_name: String,
    /// Verb and noun, such as `deployment.scale`.
    pub action: String,
    /// What it was done to, such as a deployment's id.
    pub object: String,
    /// `ok`, or the kind of refusal.
    pub outcome: String,
    /// The caller's address.
    #[serde(default)]
    pub remote: Option<String>,
    /// In words.
    pub detail: String,
}
