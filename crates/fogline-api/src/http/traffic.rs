//! A deployment's requests, as proxies see them.

use fogline_core::id::{DeploymentId, ReplicaId};
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/v1/deployments/{id}/traffic`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrafficResponse {
    /// The deployment.
    pub deployment_id: DeploymentId,
    /// When this was put together.
    pub at: Timestamp,
    /// Proxies that were heard within the last seconds.
    pub proxies: u32,
    /// Requests that are with a replica now.
    pub open: u64,
    /// Requests that wait for a replica now.
    pub held: u64,
    /// The last seconds, at most 120, oldest first. Those of which no proxy told are left out.
    pub seconds: Vec<TrafficSecond>,
    /// By replica, of those that proxies know.
    pub replicas: Vec<ReplicaTrafficResponse>,
}

/// One second of it. Latencies are absent where no request ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrafficSecond {
    /// When it ended.
    pub at: Timestamp,
    /// Requests that came in.
    #[schema(example = 120.0)]
    pub request_rate: f64,
    /// Failed requests, percent of those that ended.
    pub error_rate: f64,
    /// Requests that were open or held, on the mean.
    pub concurrency: f64,
    /// Milliseconds from the first byte of a request to the last of its answer, on the mean.
    #[serde(default)]
    #[schema(example = 12.5)]
    pub average_latency_ms: Option<f64>,
    /// What half of these stayed below.
    #[serde(default)]
    pub latency_p50_ms: Option<f64>,
    /// What 95 % of these stayed below.
    #[serde(default)]
    pub latency_p95_ms: Option<f64>,
    /// What 99 % of these stayed below.
    #[serde(default)]
    pub latency_p99_ms: Option<f64>,
}

/// The part of one replica.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReplicaTrafficResponse {
    /// Which.
    pub replica_id: ReplicaId,
    /// Requests that are with it now.
    pub open: u64,
    /// Requests that have ended there since this server leads.
    pub requests: u64,
    /// Of those, failed.
    pub errors: u64,
    /// Their latency on the mean, milliseconds; absent where none has ended.
    #[serde(default)]
    pub average_latency_ms: Option<f64>,
    /// Whether a proxy gives it nothing for a while, because it failed too often.
    pub ejected: bool,
}
