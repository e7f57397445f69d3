//! The shapes of the seeds' own doors, where they differ from the API's. Seed fields are always there; more may follow.
//!
//! Login, deploy, scale and delete answer what the API answers: [`super::TokenResponse`], [`super::OperationResponse`].

use fogline_core::id::{DeploymentId, NodeId, ReplicaId};
use fogline_core::quantity::Resources;
use fogline_core::state::{DeploymentStatus, ReplicaStatus};
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeploymentHealth, DeploymentSummary};

/// `GET /api/deployment/status/{id}`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SeedStatusResponse {
    /// Which deployment.
    pub deployment_id: DeploymentId,
    /// Its name.
    pub name: String,
    /// The user's own label.
    #[serde(rename = "type")]
    pub kind: String,
    /// What has become of it.
    pub status: DeploymentStatus,
    /// Why, from the last line of its history.
    pub reason: Option<String>,
    /// The image, where it has one.
    pub container_image: Option<String>,
    /// Replicas asked for.
    pub target_replicas: u32,
    /// The replicas that are there, oldest first.
    pub replicas: Vec<SeedReplica>,
    /// How far what runs is what was asked for.
    pub health: DeploymentHealth,
    /// What each replica reserves.
    pub resources: Resources,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Timestamp,
}

/// A replica in [`SeedStatusResponse`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "as in ReplicaResponse")]
pub struct SeedReplica {
    pub id: ReplicaId,
    pub node_id: Option<NodeId>,
    pub node: Option<String>,
    pub status: ReplicaStatus,
    pub ready: bool,
    pub container_id: Option<String>,
    pub endpoint: Option<String>,
    pub restarts: u32,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub stopped_at: Option<Timestamp>,
}

/// `GET /api/deployment/list`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SeedDeploymentList {
    /// The caller's deployments that are not deleted.
    pub deployments: Vec<DeploymentSummary>,
    /// How many there are on all pages.
    pub total: u64,
    /// Where the next page starts; null on the last one.
    #[serde(default)]
    pub next: Option<String>,
}
