//! Threshold rules, as in SCALE-001: a metric, an operator, a threshold, for how long, and how many replicas to add or
//! take away.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Span;

/// How a sample is compared with the threshold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Operator {
    /// Greater than.
    Gt,
    /// Less than.
    Lt,
    /// Greater than or equal.
    Gte,
    /// Less than or equal.
    Lte,
}

impl Operator {
    /// Whether `value` stands in this relation to `threshold`.
    #[must_use]
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Gt => value > threshold,
            Self::Lt => value < threshold,
            Self::Gte => value >= threshold,
            Self::Lte => value <= threshold,
        }
    }

    /// The sign that people write.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Gt => ">",
            Self::Lt => "<",
            Self::Gte => "≥",
            Self::Lte => "≤",
        }
    }
}

/// One rule of a direction.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// Name of the metric.
    pub metric: String,
    /// `gt`, `lt`, `gte` or `lte`.
    pub operator: Operator,
    /// What samples are compared with; not negative.
    pub threshold: f64,
    /// How long every sample must meet it, at most a day; at once when nothing is said.
    #[serde(default)]
    pub duration: Span,
    /// Replicas to add (> 0 in an up rule) or to take away (< 0 in a down rule).
    pub scale_by: i32,
}

impl fmt::Display for RuleSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.metric, self.operator.sign(), self.threshold)
    }
}

/// How many rules of a direction must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// Every one.
    #[default]
    All,
    /// One is enough.
    Any,
}
