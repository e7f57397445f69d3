//! How fast a count may change: tolerance, stabilization, rate.
//!
//! Fields and defaults are those of `spec.behavior` in Kubernetes' `autoscaling/v2`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Span;

/// How far a ratio may be from 1.0 before it counts as a change.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(untagged)]
pub enum ToleranceSpec {
    /// The same both ways.
    Both(f64),
    /// One a direction.
    Each {
        /// Above 1.0.
        #[serde(default = "default_tolerance")]
        up: f64,
        /// Below 1.0.
        #[serde(default = "default_tolerance")]
        down: f64,
    },
}

const fn default_tolerance() -> f64 {
    0.1
}

impl Default for ToleranceSpec {
    fn default() -> Self {
        Self::Both(default_tolerance())
    }
}

impl ToleranceSpec {
    /// Above 1.0.
    #[must_use]
    pub const fn up(self) -> f64 {
        match self {
            Self::Both(both) => both,
            Self::Each { up, .. } => up,
        }
    }

    /// Below 1.0.
    #[must_use]
    pub const fn down(self) -> f64 {
        match self {
            Self::Both(both) => both,
            Self::Each { down, .. } => down,
        }
    }
}

/// How much a count may change in a period: the larger of what is given. Nothing given forbids the direction.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxChange {
    /// So many replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// So many percent of the replicas at the period's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
}

/// The limits of growing.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScaleUpSpec {
    /// The lowest recommendation of this time counts, at most 1 h.
    pub stabilization: Span,
    /// The most that is added in a period.
    pub max_change: MaxChange,
    /// 1 s to 30 min.
    pub period: Span,
}

impl Default for ScaleUpSpec {
    fn default() -> Self {
        Self {
            stabilization: Span::ZERO,
            max_change: MaxChange { replicas: Some(4), percent: Some(100.0) },
            period: Span::seconds(15),
        }
    }
}

/// The limits of shrinking.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScaleDownSpec {
    /// The highest recommendation of this time counts, at most 1 h.
    pub stabilization: Span,
    /// The most that is taken away in a period.
    pub max_change: MaxChange,
    /// 1 s to 30 min.
    pub period: Span,
}

impl Default for ScaleDownSpec {
    fn default() -> Self {
        Self {
            stabilization: Span::seconds(300),
            max_change: MaxChange { replicas: None, percent: Some(100.0) },
            period: Span::seconds(15),
        }
    }
}
