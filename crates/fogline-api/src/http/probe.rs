//! Probes.

use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /healthz`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProbeResponse {
    /// `ok`.
    pub status: String,
}

/// What a server is, among those that share its database.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServerRole {
    /// It decides and writes.
    Leader,
    /// It reads, and passes everything else on to the leader.
    Standby,
}

/// `GET /readyz`, when requests can be answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReadyResponse {
    /// `ready`.
    pub status: String,
    /// Whether it leads.
    pub role: ServerRole,
    /// Where the leader's HTTP API is, as it says of itself.
    pub leader: String,
    /// The leader's take-over.
    pub epoch: u64,
    /// `reached`: without the database, no server is ready.
    pub database: String,
    /// Acknowledged changes that the database was found not to have, since this process has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<LostRevisions>,
    /// The scaling engine, which runs where this server leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalingEngineState>,
}

/// Whether scaling policies are evaluated as they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScalingEngineStatus {
    /// Every interval.
    Running,
    /// The last round was long ago, or took far longer than it should.
    Late,
    /// Not at all, though this server leads.
    Stopped,
}

/// The scaling engine, as it is now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScalingEngineState {
    /// Whether it does what it should.
    pub status: ScalingEngineStatus,
    /// When every target had been evaluated last; nothing before the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_round_at: Option<Timestamp>,
    /// How long after it was due that was, in milliseconds.
    pub lag_ms: u64,
    /// Targets with an enabled policy.
    pub targets: u64,
    /// Distinct questions that are asked of metric sources.
    pub sources: u64,
    /// Those of them whose last answer was no value.
    pub failing_sources: u64,
}

/// How far the database was behind what was known of it: a copy was promoted that had not received everything, or an old
/// backup was put back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct LostRevisions {
    /// The last revision that was acknowledged, or seen.
    pub acknowledged: u64,
    /// The revision that the database was at. What came between the two is lost.
    pub found: u64,
}
