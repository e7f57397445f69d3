//! Scaling decisions that are kept: the events of the proxy's view, the history of the other.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ScalingTarget;
use crate::id::{DecisionId, PolicyId, UserId};
use crate::scaling::Decision;
use crate::time::Timestamp;

/// How far carrying a decision out has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecisionStatus {
    /// An executor, or somebody outside, has not said yet.
    Pending,
    /// Done, or nothing was to be done.
    Completed,
    /// Not done.
    Failed,
}

impl DecisionStatus {
    /// The name in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// A row of `scaling_decisions`. Those that changed a count, or would have, are kept for ever; holds for a while.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the columns speak for themselves")]
pub struct DecisionRecord {
    pub id: DecisionId,
    pub target: ScalingTarget,
    /// The one policy on the target, or the one whose vote counted; it may be gone by now.
    pub policy_id: Option<PolicyId>,
    pub policy_name: Option<String>,
    /// Whether the decision was kept from being carried out: a dry run or a shadow.
    pub dry_run: bool,
    pub status: DecisionStatus,
    /// Why it was not carried out, or not wholly.
    pub error: Option<String>,
    /// The person behind it.
    pub triggered_by: Option<UserId>,
    pub completed_at: Option<Timestamp>,
    /// When, what, from how many to how many, why.
    pub decision: Arc<Decision>,
}

impl DecisionRecord {
    /// From the decision to its end, in whole milliseconds; nothing while it is pending.
    #[must_use]
    pub fn took_ms(&self) -> Option<u64> {
        let took = self.completed_at?.since(self.decision.at);
        Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
    }
}
