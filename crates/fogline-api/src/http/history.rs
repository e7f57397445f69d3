//! The status history of a deployment.

use fogline_core::id::{DeploymentId, HistoryId, UserId};
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A line of `GET /api/v1/deployments/{id}/history`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// Its id.
    pub id: HistoryId,
    /// Whose history it is.
    pub deployment_id: DeploymentId,
    /// Position in it, from 1, without gaps.
    pub seq: u32,
    /// The status before; `none` on the first line.
    pub old_status: String,
    /// The status after.
    pub new_status: String,
    /// Who did it; absent when Fogline itself did, or the user is gone.
    #[serde(default)]
    pub changed_by: Option<UserId>,
    /// When.
    pub changed_at: Timestamp,
    /// Why, in words.
    pub reason: String,
}
