//! A line of the audit log as it is read back. [`fogline_core::record::AuditRecord`] names its action by a constant of
//! the program that wrote it; one that is read may be of an older program, so here it is text.

use fogline_core::id::{AuditId, UserId};
use fogline_core::time::Timestamp;
use serde::Serialize;

/// A row of `audit_logs`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[expect(missing_docs, reason = "as in fogline_core::record::AuditRecord")]
pub struct AuditEntry {
    pub id: AuditId,
    pub at: Timestamp,
    pub actor: Option<UserId>,
    pub actor_name: String,
    pub action: String,
    pub object: String,
    pub outcome: String,
    pub remote: Option<String>,
    pub detail: String,
}
