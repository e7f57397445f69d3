//! Replicas, as their agents saw them.

use fogline_core::id::{DeploymentId, NodeId, ReplicaId};
use fogline_core::quantity::Resources;
use fogline_core::state::ReplicaStatus;
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A line of `GET /api/v1/deployments/{id}/replicas`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReplicaResponse {
    /// Its id.
    pub id: ReplicaId,
    /// Whose replica it is.
    pub deployment_id: DeploymentId,
    /// The node it runs on; absent once that node was purged.
    #[serde(default)]
    pub node_id: Option<NodeId>,
    /// That node's name.
    #[serde(default)]
    pub node: Option<String>,
    /// How far it has come.
    pub status: ReplicaStatus,
    /// Whether its readiness check passes now.
    pub ready: bool,
    /// The revision of the spec that it was started from.
    pub revision: u32,
    /// What it reserves.
    pub resources: Resources,
    /// `address:port` where it answers.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The driver's own name for it: a container id, or a process id.
    #[serde(default)]
    pub container_id: Option<String>,
    /// How often it was restarted in place.
    pub restarts: u32,
    /// The replica that it took over from.
    #[serde(default)]
    pub replaces: Option<ReplicaId>,
    /// How its last run ended: the exit code, or 128 and the signal.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// Why it is where it is: what stopped it, or what went wrong.
    #[serde(default)]
    pub reason: Option<String>,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Timestamp,
    /// When it was first ready.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it was gone.
    #[serde(default)]
    pub stopped_at: Option<Timestamp>,
}
