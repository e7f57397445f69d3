//! Nodes, with what is free on them and how busy they are.

use std::collections::BTreeMap;

use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::quantity::Resources;
use fogline_core::spec::Runtime;
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether a node can take work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeStatus {
    /// Heard from, and nothing runs there.
    Idle,
    /// Heard from, and replicas hold room there.
    Active,
    /// Its agent has been silent for too long.
    Offline,
}

/// `PATCH /api/v1/nodes/{id}`: changes what is there.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchNodeRequest {
    /// Whether it gets no new replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cordoned: Option<bool>,
    /// Whether the replicas that it has move elsewhere, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draining: Option<bool>,
    /// All its labels: those that are not listed are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

/// A node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct NodeResponse {
    /// Its id.
    pub id: NodeId,
    /// The name people know it by; unique.
    pub name: String,
    /// Where it is.
    pub region: String,
    /// Where in the region it is.
    pub zone: String,
    /// `idle`, `active` or `offline`.
    pub status: NodeStatus,
    /// Gets no new replicas.
    pub cordoned: bool,
    /// Its replicas move elsewhere.
    pub draining: bool,
    /// What it can run.
    pub runtimes: Vec<Runtime>,
    /// Words that constraints ask for.
    pub labels: BTreeMap<String, String>,
    /// All that it has.
    pub capacity: Resources,
    /// What is not reserved yet.
    pub free: Resources,
    /// How many replicas hold room there.
    pub replicas: u32,
    /// Replicas that run there and that the cluster has no row of: those of a database that is older or was lost. They
    /// are left alone until somebody stops them.
    #[serde(default)]
    pub unlisted: Vec<ReplicaId>,
    /// Use of all its cores, 0 to 100, as last told; absent when not known.
    #[serde(default)]
    pub cpu_usage_percent: Option<f32>,
    /// Use of its memory, 0 to 100, as last told; absent when not known.
    #[serde(default)]
    pub memory_usage_percent: Option<f32>,
    /// When its agent was last heard; absent when not since this server started.
    #[serde(default)]
    pub last_seen_at: Option<Timestamp>,
    /// When it was first declared.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Timestamp,
}
