//! What a policy does when a metric has nothing to say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What happens without data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// The count stays.
    #[default]
    Hold,
    /// What `fallback` says, after some failures.
    Fallback,
    /// One replica more at a time, within all limits.
    Up,
}

/// How a fallback stands to the present count. The names are KEDA's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FallbackBehavior {
    /// Exactly `replicas`.
    #[default]
    Static,
    /// The present count where it is higher, else `replicas`.
    CurrentIfHigher,
    /// The present count where it is lower, else `replicas`. The one declared way down without data.
    CurrentIfLower,
}

/// The count that is safe without data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FallbackSpec {
    /// Evaluations in a row without data before it is used, 1 to 1000.
    #[serde(default = "default_after_failures")]
    pub after_failures: u32,
    /// The count, 1 or more.
    pub replicas: u32,
    /// How it stands to the present count.
    #[serde(default)]
    pub behavior: FallbackBehavior,
}

const fn default_after_failures() -> u32 {
    3
}
