//! Replicas before the load that needs them: what was seen at this time in earlier seasons.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Span;

/// A floor from a seasonal forecast. It is never a reason to go down, and turns itself off while its error is too large.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForecastSpec {
    /// Name of a metric that is a total of the whole target, such as `request_rate`.
    pub metric: String,
    /// How much of it one replica carries, more than 0.
    pub target: f64,
    /// After which time the load repeats itself, 1 h to 7 days.
    #[serde(default = "default_season")]
    pub season: Span,
    /// How far ahead the replicas should be there; as long as a start takes, as measured, when nothing is said. Up to 1 h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_ahead: Option<Span>,
    /// The error, in percent of the load, above which the forecast is off; above 0 and at most 100.
    #[serde(default = "default_max_error")]
    pub max_error: f64,
}

const fn default_season() -> Span {
    Span::seconds(86_400)
}

const fn default_max_error() -> f64 {
    30.0
}

/// How far ahead it looks where no start was measured yet.
const UNMEASURED_START: Duration = Duration::from_secs(60);

impl ForecastSpec {
    /// `metric` at `target` a replica, day by day.
    #[must_use]
    pub fn new(metric: impl Into<String>, target: f64) -> Self {
        Self {
            metric: metric.into(),
            target,
            season: default_season(),
            look_ahead: None,
            max_error: default_max_error(),
        }
    }

    /// How far ahead it looks, where a start takes `start_time`.
    #[must_use]
    pub fn look_ahead(&self, start_time: Option<Duration>) -> Duration {
        self.look_ahead.map(|span| span.0).or(start_time).unwrap_or(UNMEASURED_START)
    }
}
