//! Decisions of the scaling engine: whole, as `fogline why` shows them, and short, as the history of changes.

use fogline_core::id::{DecisionId, PolicyId, UserId};
use fogline_core::record::{DecisionRecord, DecisionStatus, ScalingTarget};
use fogline_core::scaling::Decision;
use fogline_core::scaling::decision::{Action, TargetRef};
use fogline_core::scaling::inputs::Trigger;
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A decision with every input, vote and step that led to it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DecisionResponse {
    /// Its id; absent for one that changed nothing and is only remembered for a while.
    #[serde(default)]
    pub id: Option<DecisionId>,
    /// What it is about, as policies show it.
    #[schema(value_type = String)]
    pub resolved_target: ScalingTarget,
    /// Whether it was kept from being carried out: a dry run or a shadow.
    #[serde(default)]
    pub dry_run: bool,
    /// How far carrying it out has come; absent where nothing is to be carried out.
    #[serde(default)]
    pub status: Option<DecisionStatus>,
    /// Why it was not carried out, or not wholly.
    #[serde(default)]
    pub error: Option<String>,
    /// The person behind it.
    #[serde(default)]
    pub triggered_by: Option<UserId>,
    /// When it was carried out, or had failed.
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    /// From the decision to that moment.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// What was decided, and everything that led there.
    #[serde(flatten)]
    pub decision: Decision,
}

/// What an evaluation would come to at this moment. Nothing was changed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct EvaluationResponse {
    /// Whether the count would change.
    pub should_scale: bool,
    /// The decision that would be made, and everything that led there.
    #[serde(flatten)]
    pub decision: Decision,
}

impl From<Decision> for EvaluationResponse {
    fn from(decision: Decision) -> Self {
        Self { should_scale: decision.action != Action::Hold, decision }
    }
}

/// A change of a count, or one that a dry run or a shadow would have made: a line of `GET /api/v1/scaling/history`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ScalingHistoryEntry {
    /// Its id, under which decisions know it as well.
    pub id: DecisionId,
    /// The policy, which may be gone by now; absent for a change that no policy made.
    pub policy_id: Option<PolicyId>,
    /// Its name at that time; empty where there was none.
    pub policy_name: String,
    /// `scale_up` or `scale_down`.
    pub action: Action,
    /// As the policy names the target.
    pub target_type: String,
    /// As the policy names the target.
    pub target_id: Option<String>,
    /// The count before.
    pub previous_replicas: u32,
    /// The count after.
    pub new_replicas: u32,
    /// Why, in a sentence.
    pub reason: String,
    /// Whether it was kept from being carried out: a dry run or a shadow.
    pub dry_run: bool,
    /// When.
    pub executed_at: Timestamp,
    /// Who or what asked for it.
    pub trigger: Trigger,
    /// The person behind it.
    pub triggered_by: Option<UserId>,
    /// How far carrying it out has come.
    pub status: DecisionStatus,
    /// Why it was not carried out, or not wholly.
    pub error: Option<String>,
    /// From the decision to its end.
    pub duration_ms: Option<u64>,
    /// What it is about, as policies show it.
    #[schema(value_type = String)]
    pub resolved_target: ScalingTarget,
}

impl From<DecisionRecord> for ScalingHistoryEntry {
    fn from(record: DecisionRecord) -> Self {
        let TargetRef { target_type, target_id } =
            record.decision.target.clone().unwrap_or_else(|| (&record.target).into());
        Self {
            id: record.id,
            policy_id: record.policy_id,
            duration_ms: record.took_ms(),
            policy_name: record.policy_name.unwrap_or_default(),
            action: record.decision.action,
            target_type,
            target_id,
            previous_replicas: record.decision.current,
            new_replicas: record.decision.replicas,
            reason: record.decision.reason.clone(),
            dry_run: record.dry_run,
            executed_at: record.decision.at,
            trigger: record.decision.trigger,
            triggered_by: record.triggered_by,
            status: record.status,
            error: record.error,
            resolved_target: record.target,
        }
    }
}

impl From<DecisionRecord> for DecisionResponse {
    fn from(record: DecisionRecord) -> Self {
        let carried = record.decision.action != Action::Hold;
        Self {
            id: Some(record.id),
            duration_ms: record.took_ms(),
            resolved_target: record.target,
            dry_run: record.dry_run,
            status: carried.then_some(record.status),
            error: record.error,
            triggered_by: record.triggered_by,
            completed_at: record.completed_at,
            decision: std::sync::Arc::unwrap_or_clone(record.decision),
        }
    }
}
