//! What an evaluation of a proxy comes to.

use fogline_core::scaling::decision::Action;
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What would be done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProxyAction {
    /// More replicas.
    ScaleUp,
    /// Fewer.
    ScaleDown,
    /// Nothing.
    None,
}

impl From<Action> for ProxyAction {
    fn from(action: Action) -> Self {
        match action {
            Action::ScaleUp => Self::ScaleUp,
            Action::ScaleDown => Self::ScaleDown,
            Action::Hold => Self::None,
        }
    }
}

/// Whether a proxy should be scaled at this moment, and why. Nothing was changed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyEvaluationResponse {
    /// The proxy, as it was asked for.
    pub proxy_id: String,
    /// Whether the count would change.
    pub should_scale: bool,
    /// Which way.
    pub action: ProxyAction,
    /// The count that there is.
    pub current_replicas: u32,
    /// The count that there should be.
    pub recommended_replicas: u32,
    /// The load score that it rests on; null without data, or where no policy uses one.
    pub load_score: Option<f64>,
    /// Why, in a sentence.
    pub reason: String,
    /// When.
    pub evaluated_at: Timestamp,
}
