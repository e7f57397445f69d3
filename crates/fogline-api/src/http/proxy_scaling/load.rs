//! The load of a proxy: five figures, and the score that is made of four of them.

use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The load of a proxy at this moment. All five are needed.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadMetricsRequest {
    /// Processor use, percent, 0 to 100.
    pub cpu_percent: f64,
    /// Memory use, percent, 0 to 100.
    pub memory_percent: f64,
    /// Requests a second, 0 or more.
    pub request_rate: f64,
    /// Time that a request takes on average, milliseconds, 0 or more.
    pub average_latency_ms: f64,
    /// Requests that fail, percent, 0 to 100.
    pub error_rate: f64,
}

/// The load of a proxy as it was last seen. What nobody has measured is null, not 0.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadMetricsResponse {
    /// The proxy, as it was asked for.
    pub proxy_id: String,
    /// Processor use, percent.
    pub cpu_percent: Option<f64>,
    /// Memory use, percent.
    pub memory_percent: Option<f64>,
    /// Requests a second.
    pub request_rate: Option<f64>,
    /// Time that a request takes on average, milliseconds.
    pub average_latency_ms: Option<f64>,
    /// Requests that fail, percent.
    pub error_rate: Option<f64>,
    /// `0.40·cpu + 0.30·memory + 0.20·requests + 0.10·errors`, at most 100; null where one of the four is.
    pub load_score: Option<f64>,
    /// When the latest of them was measured.
    pub recorded_at: Timestamp,
}
