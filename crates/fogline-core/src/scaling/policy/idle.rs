//! When a target that may sleep goes to zero.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Span;

/// A metric that keeps a target awake, or wakes it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivationSpec {
    /// Name of the metric.
    pub metric: String,
    /// Above this the target is needed; 0 or more.
    #[serde(default)]
    pub activation: f64,
}

/// To zero and from zero. Needs `scale_to_zero: true`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdleSpec {
    /// How long there must be no request and no activation, 10 s to 7 days.
    #[serde(default = "default_idle_period")]
    pub idle_period: Span,
    /// How long before a schedule or a forecast asks for replicas it wakes up, beside what a start takes as measured; 0 to
    /// 1 h. With 0 it is not woken ahead of time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pre_wake: Span,
    /// Metrics that keep it awake beside requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub activation: Vec<ActivationSpec>,
}

const fn is_zero(span: &Span) -> bool {
    span.0.is_zero()
}

const fn default_idle_period() -> Span {
    Span::seconds(300)
}

impl Default for IdleSpec {
    fn default() -> Self {
        Self { idle_period: default_idle_period(), pre_wake: Span::seconds(0), activation: Vec::new() }
    }
}
