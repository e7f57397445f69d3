//! The load score's thresholds and steps, with the defaults of the proxy seed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How large the steps of a load score are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Aggressiveness {
    /// One replica up, one down.
    Conservative,
    /// In proportion to the score up, one down.
    #[default]
    Balanced,
    /// Doubles up, halves down.
    Aggressive,
}

/// A composite of processor, memory, requests and errors, from 0 to 100.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoadScoreSpec {
    /// Above this score up, 0 to 100.
    pub scale_up_threshold: f64,
    /// Below this score down, less than `scale_up_threshold`.
    pub scale_down_threshold: f64,
    /// Processor use that is aimed for, percent, more than 0 and at most 100.
    pub target_cpu_percent: f64,
    /// Memory use that is aimed for, percent, more than 0 and at most 100.
    pub target_memory_percent: f64,
    /// Requests a second that count as 100 %.
    pub target_request_rate: f64,
    /// Size of the steps.
    pub aggressiveness: Aggressiveness,
    /// Up when processor or memory alone is nearly used up, and never up because of errors alone.
    pub saturation_guard: bool,
}

impl Default for LoadScoreSpec {
    fn default() -> Self {
        Self {
            scale_up_threshold: 80.0,
            scale_down_threshold: 30.0,
            target_cpu_percent: 70.0,
            target_memory_percent: 80.0,
            target_request_rate: 1_000.0,
            aggressiveness: Aggressiveness::default(),
            saturation_guard: true,
        }
    }
}
