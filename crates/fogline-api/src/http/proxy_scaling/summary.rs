//! What has happened to a proxy over some hours.

use std::collections::BTreeMap;

use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Events and load of a proxy over a window that ends now.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxySummaryResponse {
    /// The proxy, as it was asked for.
    pub proxy_id: String,
    /// How long the window is.
    pub hours_back: u32,
    /// Where it begins.
    pub from: Timestamp,
    /// Where it ends.
    pub to: Timestamp,
    /// What was done.
    pub events: EventCounts,
    /// The load, by `cpuPercent`, `memoryPercent`, `requestRate`, `averageLatencyMs`, `errorRate` and `loadScore`; one
    /// that nobody has measured is not there.
    pub metrics: BTreeMap<String, SeriesSummary>,
}

/// Events, counted.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventCounts {
    /// All of them.
    pub total: u64,
    /// By `scale_up` and `scale_down`.
    pub by_type: BTreeMap<String, u64>,
    /// By who or what asked: `auto`, `manual`, `schedule`, `proxy`, `admin`.
    pub by_trigger: BTreeMap<String, u64>,
    /// By `pending`, `completed` and `failed`.
    pub by_outcome: BTreeMap<String, u64>,
    /// From beginning to end, on average, of those that have ended; null where none has.
    pub mean_duration_ms: Option<f64>,
}

/// One figure over the window.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeriesSummary {
    /// On average.
    pub mean: f64,
    /// The most.
    pub peak: f64,
    /// The last one.
    pub latest: f64,
    /// Where it is going.
    pub trend: Trend,
}

/// The straight line that fits a figure best (least squares).
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trend {
    /// In a word. Less than a tenth of the mean over the whole window is `steady`.
    pub direction: Direction,
    /// How much it changes an hour.
    pub per_hour: f64,
}

/// Which way a figure goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Up.
    Rising,
    /// Down.
    Falling,
    /// Neither.
    Steady,
}
