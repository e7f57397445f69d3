//! Target tracking: a metric that is kept near a value, as Kubernetes' horizontal pod autoscaler does it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Span;
use crate::scaling::sample::builtin;

/// What the metric is compared with. The names are those of Kubernetes' `autoscaling/v2`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetType {
    /// The metric as it is: a mean over the replicas (processor use), or anything that falls when replicas are added.
    Value,
    /// Each replica's share of the metric, which is a total of the whole target (requests a second, queue length).
    AverageValue,
}

/// One metric and the value it is kept at.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetSpec {
    /// Name of the metric.
    pub metric: String,
    /// The value aimed for, more than 0.
    pub target: f64,
    /// `average_value` for `request_rate` and `concurrency`, `value` for all others when nothing is said.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<TargetType>,
    /// Over which time `request_rate` and `concurrency` are averaged, 6 s to 1 h.
    #[serde(default = "default_stable_window")]
    pub stable_window: Span,
    /// The panic window, in percent of the stable one, 1 to 100.
    #[serde(default = "default_panic_window_percentage")]
    pub panic_window_percentage: f64,
    /// Percent of ready capacity that the panic window must ask for to act at once, 110 to 1000.
    #[serde(default = "default_panic_threshold_percentage")]
    pub panic_threshold_percentage: f64,
}

const fn default_stable_window() -> Span {
    Span::seconds(60)
}

const fn default_panic_window_percentage() -> f64 {
    10.0
}

const fn default_panic_threshold_percentage() -> f64 {
    200.0
}

impl TargetSpec {
    /// `metric` kept at `target`, all else as by default.
    #[must_use]
    pub fn new(metric: impl Into<String>, target: f64) -> Self {
        Self {
            metric: metric.into(),
            target,
            kind: None,
            stable_window: default_stable_window(),
            panic_window_percentage: default_panic_window_percentage(),
            panic_threshold_percentage: default_panic_threshold_percentage(),
        }
    }

    /// How the metric is compared.
    #[must_use]
    pub fn kind(&self) -> TargetType {
        self.kind.unwrap_or(if self.has_panic_window() { TargetType::AverageValue } else { TargetType::Value })
    }

    /// Whether the metric is watched in a short window as well, because it comes from requests.
    #[must_use]
    pub fn has_panic_window(&self) -> bool {
        self.metric == builtin::REQUEST_RATE || self.metric == builtin::CONCURRENCY
    }

    /// The length of the panic window.
    #[must_use]
    pub fn panic_window(&self) -> std::time::Duration {
        self.stable_window.0.mul_f64((self.panic_window_percentage / 100.0).clamp(0.0, 1.0))
    }
}
