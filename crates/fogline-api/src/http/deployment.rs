//! Deployments: what was asked for, and how far it is true.

use fogline_core::id::{DeploymentId, UserId};
use fogline_core::image_digest::ImageDigest;
use fogline_core::quantity::Resources;
use fogline_core::spec::{DeploymentSpec, Runtime};
use fogline_core::state::DeploymentStatus;
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /api/v1/deployments/{id}/scale`, `POST /api/deployment/scale/{id}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleRequest {
    /// How many replicas from now on, 1 to 100. Signed and wide, so that a number out of range is told so by name.
    #[serde(alias = "target_replicas")]
    #[schema(minimum = 1, maximum = 100)]
    pub replicas: i64,
}

/// What a change of a deployment came to. Both doors answer this.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct OperationResponse {
    /// Always true; errors are problem details.
    pub success: bool,
    /// Which deployment.
    pub deployment_id: DeploymentId,
    /// Its status now. A deploy always says `pending`.
    pub status: DeploymentStatus,
    /// How many replicas are asked for now.
    pub replicas: u32,
    /// In words, such as `Scaled up to 5 replicas (2 added)`.
    pub message: String,
    /// The spec's revision, after an update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// Whether replicas are being replaced, after an update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling: Option<bool>,
}

/// A deployment's health in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthSummary {
    /// As many replicas are ready as were asked for.
    Healthy,
    /// Some are.
    Degraded,
    /// None is.
    Unhealthy,
    /// None should be: it is stopped, failed or deleted, or not placed yet.
    Inactive,
}

/// How far what runs is what was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeploymentHealth {
    /// In one word.
    pub summary: HealthSummary,
    /// Replicas asked for.
    pub target: u32,
    /// Replicas whose readiness check passes.
    pub ready: u32,
    /// Replicas in status `running`.
    pub running: u32,
    /// Replicas that are being placed or started.
    pub starting: u32,
    /// Replicas on their way out.
    pub stopping: u32,
    /// Restarts in place of the replicas that are there.
    pub restarts: u32,
}

/// `GET /api/v1/deployments/{id}`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeploymentResponse {
    /// Its id.
    pub id: DeploymentId,
    /// Its name, unique among its owner's.
    pub name: String,
    /// The owner.
    pub user_id: UserId,
    /// What has become of it.
    pub status: DeploymentStatus,
    /// Why it is in this status, from the last line of its history.
    #[serde(default)]
    pub reason: Option<String>,
    /// Replicas asked for.
    pub target_replicas: u32,
    /// Counts the changes of what a replica is, from 1.
    pub revision: u32,
    /// What the image of that revision is and stays, wherever its tag is moved to: nothing for processes, and until the
    /// first replica was started.
    #[serde(default)]
    pub image_digest: Option<ImageDigest>,
    /// All that was asked for.
    pub spec: DeploymentSpec,
    /// How far it is true.
    pub health: DeploymentHealth,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Timestamp,
}

/// A line of `GET /api/v1/deployments`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "as in DeploymentResponse and in the spec")]
pub struct DeploymentSummary {
    pub id: DeploymentId,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub user_id: UserId,
    pub status: DeploymentStatus,
    pub runtime: Runtime,
    pub container_image: Option<String>,
    pub resources: Resources,
    pub target_replicas: u32,
    pub revision: u32,
    pub health: DeploymentHealth,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
