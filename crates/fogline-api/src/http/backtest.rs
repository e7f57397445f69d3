//! A policy tried on a series that was recorded or that comes along.

use std::collections::BTreeMap;

use fogline_core::scaling::PolicySpec;
use fogline_core::scaling::backtest::Report;
use fogline_core::scaling::policy::Span;
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which policy, on which series, in which world.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BacktestRequest {
    /// A policy that need not be there. Either this or `policy_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicySpec>,
    /// A policy that is there, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_id: Option<String>,
    /// Moments in rising order, at least two, at most 20,000. Either this or `recorded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Vec<BacktestRow>>,
    /// What was recorded of a target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<RecordedRange>,
    /// The metric that is the load; `request_rate` or the only one where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<String>,
    /// How much load one replica carries, above 0; what the policy's target for it says where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<f64>,
    /// How long a replica takes to start, at most 1 h.
    #[serde(default = "default_start_time")]
    pub start_time: Span,
    /// How often the policy is evaluated, 1 s to 1 h.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// Replicas at the beginning; what the first moment demands where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// What a replica costs an hour, where the policy does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_hourly_cost: Option<f64>,
}

const fn default_start_time() -> Span {
    Span::seconds(30)
}

const fn default_interval() -> Span {
    Span::seconds(5)
}

impl Default for BacktestRequest {
    fn default() -> Self {
        Self {
            policy: None,
            policy_id: None,
            series: None,
            recorded: None,
            load: None,
            capacity: None,
            start_time: default_start_time(),
            interval: default_interval(),
            replicas: None,
            replica_hourly_cost: None,
        }
    }
}

/// The metrics of one moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BacktestRow {
    /// When.
    pub at: Timestamp,
    /// By name; one that is null or left out is a missing sample, not 0.
    pub values: BTreeMap<String, Option<f64>>,
}

/// What the server has recorded: 10 s a point for a day, 1 min for 30 days.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordedRange {
    /// Of which target, as in a pushed sample; the policy's own where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// From when; a day before `to` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until when; now where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// How far points are apart, 10 s to 1 h; a minute where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Span>,
}

/// How the policy would have done, beside a constant count and target tracking as Kubernetes does it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct BacktestResponse {
    /// The metric that was the load.
    pub load: String,
    /// How much of it one replica carried.
    pub capacity: f64,
    /// Figures, changes and moments of each run. Of more than 2,000 moments, evenly spaced ones are shown; figures are
    /// made of all.
    #[serde(flatten)]
    pub report: Report,
}
