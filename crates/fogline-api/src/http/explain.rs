//! Why a deployment is where it is, or why it does not fit.

use fogline_core::id::{DeploymentId, ReplicaId};
use fogline_core::placement::PlacementReport;
use fogline_core::state::{DeploymentStatus, ReplicaStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/v1/deployments/{id}/explain`, `POST /api/v1/deployments/explain`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExplainResponse {
    /// Which deployment; absent for a spec that was only asked about.
    #[serde(default)]
    pub deployment_id: Option<DeploymentId>,
    /// Its status; absent for a spec that was only asked about.
    #[serde(default)]
    pub status: Option<DeploymentStatus>,
    /// Whether all that is asked for has, or would find, its place.
    pub fits: bool,
    /// The whole of it in a sentence.
    pub message: String,
    /// How the nodes look to the replicas that have no place yet, or, where all have one, to one more replica.
    pub placement: PlacementReport,
    /// Where its replicas are now, oldest first.
    #[serde(default)]
    pub replicas: Vec<ReplicaPlace>,
}

/// Where one replica is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "as in ReplicaResponse")]
pub struct ReplicaPlace {
    pub replica_id: ReplicaId,
    #[serde(default)]
    pub node: Option<String>,
    pub status: ReplicaStatus,
    #[serde(default)]
    pub reason: Option<String>,
}
