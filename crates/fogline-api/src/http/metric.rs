//! Metrics that somebody pushes, and what is known of a target's metrics.

use fogline_core::record::ScalingTarget;
use fogline_core::scaling::decision::InputRecord;
use fogline_core::scaling::policy::Span;
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Samples, at most 1,000. Either all are taken or none is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushMetricsRequest {
    /// In any order.
    pub samples: Vec<PushedMetric>,
}

/// One sample of one metric of one target.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushedMetric {
    /// The deployment that it is about, by id or name. Either this or `target`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// What it is about: `resolved_target` of a policy, or `<target_type>:<target_id>` as one's own policy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The name that rules and targets of policies use, 1 to 200 characters. One that the system measures itself
    /// outranks that as long as it is fresh.
    pub metric: String,
    /// What was measured.
    pub value: f64,
    /// When; now where nothing is said. At most a minute ahead, and at most an hour ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// How long it is good for, 1 s to 1 day; 90 s where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<Span>,
}

/// What became of a push.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PushMetricsResponse {
    /// How many samples were taken: all of them.
    pub accepted: u32,
    /// Of how many targets.
    pub targets: u32,
}

/// What is known of a target's metrics at this moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct MetricsResponse {
    /// Which target, as policies show it.
    #[schema(value_type = String)]
    pub target: ScalingTarget,
    /// When.
    pub at: Timestamp,
    /// Those that the system measures and those that were pushed, by name: source, value, age, or why there is none.
    pub metrics: Vec<InputRecord>,
}
