//! Scaling: policies and their versions, what targets remember, and decisions.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use fogline_core::id::{DecisionId, PolicyId, UserId};
use fogline_core::record::{
    DecisionRecord, DecisionStatus, PolicyRecord, PolicyVersionRecord, ScalingStateRecord, ScalingTarget,
};
use fogline_core::scaling::decision::Action;
use fogline_core::scaling::inputs::Trigger;
use fogline_core::scaling::{Decision, PolicySpec};

use super::Columns;
use crate::counts::DecisionCount;
use crate::error::StoreError;

pub(crate) fn policy(row: &Columns<'_>) -> Result<PolicyRecord, StoreError> {
    let spec: PolicySpec = row.json("spec")?;
    same(row, "name", &row.text("name")?, &spec.name)?;
    same(row, "target_type", &row.text("target_type")?, &spec.target_type)?;
    same(row, "target_id", &row.optional_text("target_id")?, &spec.target_id)?;
    same(row, "enabled", &row.flag("enabled")?, &spec.enabled)?;
    same(row, "mode", &row.text("mode")?, &spec.mode.as_str().to_owned())?;
    Ok(PolicyRecord {
        id: row.id("id", PolicyId::from_uuid)?,
        user_id: row.id("user_id", UserId::from_uuid)?,
        version: row.number("version")?,
        target: target(row)?,
        spec: Arc::new(spec),
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

pub(crate) fn policy_version(row: &Columns<'_>) -> Result<PolicyVersionRecord, StoreError> {
    Ok(PolicyVersionRecord {
        policy_id: row.id("policy_id", PolicyId::from_uuid)?,
        version: row.number("version")?,
        spec: Arc::new(row.json("spec")?),
        created_at: row.time("created_at")?,
        created_by: row.optional_id("created_by", UserId::from_uuid)?,
    })
}

pub(crate) fn scaling_state(row: &Columns<'_>) -> Result<ScalingStateRecord, StoreError> {
    Ok(ScalingStateRecord {
        target: target(row)?,
        version: row.number("version")?,
        replicas: row.optional_number("replicas")?,
        memory: Arc::new(row.json("memory")?),
        updated_at: row.time("updated_at")?,
    })
}

pub(crate) fn decision(row: &Columns<'_>) -> Result<DecisionRecord, StoreError> {
    let decision: Decision = row.json("decision")?;
    same(row, "at", &row.time("at")?, &decision.at)?;
    same(row, "run", &row.text("run")?, &decision.run.as_str().to_owned())?;
    same(row, "trigger", &row.word("trigger", trigger)?, &decision.trigger)?;
    same(row, "action", &row.word("action", action)?, &decision.action)?;
    same(row, "previous_replicas", &row.number("previous_replicas")?, &decision.current)?;
    same(row, "new_replicas", &row.number("new_replicas")?, &decision.replicas)?;
    same(row, "reason", &row.text("reason")?, &decision.reason)?;
    Ok(DecisionRecord {
        id: row.id("id", DecisionId::from_uuid)?,
        target: target(row)?,
        policy_id: row.optional_id("policy_id", PolicyId::from_uuid)?,
        policy_name: row.optional_text("policy_name")?,
        dry_run: row.flag("dry_run")?,
        status: row.word("status", status)?,
        error: row.optional_text("error")?,
        triggered_by: row.optional_id("triggered_by", UserId::from_uuid)?,
        completed_at: row.optional_time("completed_at")?,
        decision: Arc::new(decision),
    })
}

/// Of a group of decisions.
pub(crate) fn decision_count(row: &Columns<'_>) -> Result<DecisionCount, StoreError> {
    Ok(DecisionCount {
        action: row.word("action", action)?,
        trigger: row.word("trigger", trigger)?,
        status: row.word("status", status)?,
        count: row.number("count")?,
        timed: row.number("timed")?,
        took: Duration::from_micros(row.number::<i64>("micros")?.max(0).unsigned_abs()),
    })
}

/// The columns beside a document repeat it. Where they differ, somebody has edited one of the two.
fn same<T: PartialEq + Debug>(
    row: &Columns<'_>,
    column: &'static str,
    found: &T,
    document: &T,
) -> Result<(), StoreError> {
    if found == document {
        return Ok(());
    }
    Err(row.damaged(column, format_args!("differs from {document:?} in the document beside it")))
}

fn target(row: &Columns<'_>) -> Result<ScalingTarget, StoreError> {
    row.parsed("target")
}

fn action(word: &str) -> Option<Action> {
    [Action::ScaleUp, Action::ScaleDown, Action::Hold].into_iter().find(|action| action.as_str() == word)
}

fn trigger(word: &str) -> Option<Trigger> {
    let all = [Trigger::Auto, Trigger::Manual, Trigger::Schedule, Trigger::Proxy, Trigger::Admin];
    all.into_iter().find(|trigger| trigger.as_str() == word)
}

fn status(word: &str) -> Option<DecisionStatus> {
    let all = [DecisionStatus::Pending, DecisionStatus::Completed, DecisionStatus::Failed];
    all.into_iter().find(|status| status.as_str() == word)
}
