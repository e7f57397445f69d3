//! How a decision of the engine becomes a count.
//!
//! The one place where it is asked whether what was decided is still true: nothing else between deciding and doing may
//! be trusted to be in time. Invariants: a deployment's count, the row that says why and what the target remembers are
//! one commit; nothing that was decided from another count, another state or another set of policies is done; a target
//! outside has at most one decision that waits to be carried out. Must never scale by itself.

use std::sync::Arc;

use super::{Actor, Decided, Outcome, Rejection};
use crate::cluster::{Changes, Cluster, NodeIndex};
use crate::id::{DecisionId, DeploymentId, PolicyId, UserId};
use crate::record::{DecisionRecord, DecisionStatus, DeploymentRecord, ScalingStateRecord, ScalingTarget};
use crate::scaling::Decision;
use crate::scaling::decision::{StepName, headline};
use crate::scaling::inputs::Run;
use crate::scaling::state::Memory;
use crate::scaling::vote::Ballot;
use crate::spec::DeploymentSpec;
use crate::time::Timestamp;

/// The most that is kept of what an executor says went wrong.
const MAX_ERROR_CHARS: usize = 500;

/// How far a decision has come when its row is written.
pub(super) struct Came {
    pub status: DecisionStatus,
    pub error: Option<String>,
    pub triggered_by: Option<UserId>,
}

impl Came {
    pub(super) const fn to(status: DecisionStatus) -> Self {
        Self { status, error: None, triggered_by: None }
    }
}

/// What there is room for of a count.
pub(super) struct Fit {
    pub to: u32,
    /// Where the new ones go.
    pub places: Vec<NodeIndex>,
    /// Why it is less than was wanted.
    pub short: Option<String>,
}

impl Cluster {
    /// Without room for all, a deployment is scaled to what fits, and the row says so; without room for any, the row is a
    /// failed one. Memory follows what came about.
    pub(super) fn decide(
        &mut self,
        actor: &Actor,
        decided: &Decided,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        if *actor != Actor::System {
            return Err(Rejection::Forbidden { action: "deciding how many replicas a target has", needed: "system" });
        }
        let Decided { target, decision, .. } = decided;
        self.check_it_is_still_true(decided)?;
        let (from, wanted) = (decision.current, decision.replicas);
        if decision.run != Run::Live || wanted == from {
            let memory = match decision.run {
                Run::Live | Run::DryRun if wanted == from => decided.memory.clone(),
                // Nothing is to be caught up of what was only to be recorded.
                Run::Live | Run::DryRun => decided.memory_without.clone().map(|without| match &decided.memory {
                    Some(with) => without.with_cursors_of(with),
                    None => without,
                }),
                // It was evaluated alone: what it remembers is not what the target does.
                Run::Shadow | Run::Backtest => None,
            };
            self.remember(decided, memory, false, now, changes);
            let came = Came::to(DecisionStatus::Completed);
            let keep = decided.keep && decision.run != Run::Backtest;
            let id = keep.then(|| self.keep_decision(target, decision.clone(), came, now, changes));
            return Ok(Outcome::Decided {
                decision_id: id,
                from,
                to: from,
                pending: false,
                version: self.version_of(target),
            });
        }
        if let Some(status) = self.dormant(target) {
            return Err(Rejection::WrongStatus { action: "scale", status });
        }
        if wanted == 0 && !self.may_sleep(target, decision, now) {
            return Err(changed(target));
        }
        match target {
            ScalingTarget::Deployment(id) => self.decide_deployment(*id, decided, now, changes),
            ScalingTarget::Outside { .. } => self.decide_outside(decided, now, changes),
        }
    }

    fn decide_deployment(
        &mut self,
        id: DeploymentId,
        decided: &Decided,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        let Decided { target, decision, .. } = decided;
        let record = self.deployment(id).ok_or_else(|| changed(target))?.record.clone();
        let (from, wanted) = (record.target_replicas, decision.replicas);
        let Fit { to, places, short } = self.fit(&record, wanted, now);
        if to == from {
            self.remember(decided, decided.memory_without.clone(), false, now, changes);
            let came = Came { error: short, ..Came::to(DecisionStatus::Failed) };
            let id = decided.keep.then(|| self.keep_decision(target, decision.clone(), came, now, changes));
            return Ok(Outcome::Decided {
                decision_id: id,
                from,
                to,
                pending: false,
                version: self.version_of(target),
            });
        }
        let decision = as_it_came_about(decision, to, short.as_deref());
        let spec = Arc::new(DeploymentSpec { replicas: to, ..(*record.spec).clone() });
        self.take_over(&Actor::System, record, spec, places, decision.cause(), now, changes);
        let memory = decided.memory.clone().map(|memory| as_it_was_done(memory, decision.at, wanted, to));
        self.remember(decided, memory, true, now, changes);
        let came = Came { error: short, ..Came::to(DecisionStatus::Completed) };
        let id = self.keep_decision(target, decision, came, now, changes);
        Ok(Outcome::Decided { decision_id: Some(id), from, to, pending: false, version: self.version_of(target) })
    }

    /// How much of a count the quota and the nodes have room for, at least the present one.
    pub(super) fn fit(&self, record: &DeploymentRecord, wanted: u32, now: Timestamp) -> Fit {
        let from = record.target_replicas;
        let (mut to, mut short) = (wanted, None);
        if wanted > from
            && let Some((allowed, tier)) =
                self.replicas_allowed(record.user_id, record.id).filter(|(most, _)| *most < to)
        {
            to = allowed.max(from);
            short = Some(format!("wanted {wanted}, the {tier} tier allows {to}"));
        }
        let sized = DeploymentSpec { replicas: to, ..(*record.spec).clone() };
        let mut places = self.places_for(record, &sized, now);
        let fit = from.saturating_add(u32::try_from(places.len()).unwrap_or(u32::MAX));
        if fit < to && record.status.wants_replicas() {
            to = fit;
            short = Some(format!("wanted {wanted}, room for {to}"));
        }
        places.truncate(to.saturating_sub(from) as usize);
        Fit { to, places, short }
    }

    /// Only once it has been carried out does the target have another count: [`Self::complete_decision`].
    fn decide_outside(
        &mut self,
        decided: &Decided,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        let Decided { target, decision, .. } = decided;
        self.check_nothing_is_pending(target)?;
        let before = decided.memory_without.clone().unwrap_or_else(|| self.memory_of(target));
        let mut memory = decided.memory.clone().unwrap_or_else(|| before.clone());
        memory.undo = Some(Box::new(before.undo()));
        self.remember(decided, Some(memory), true, now, changes);
        let came = Came::to(DecisionStatus::Pending);
        let id = self.keep_decision(target, decision.clone(), came, now, changes);
        let (from, to) = (decision.current, decision.replicas);
        Ok(Outcome::Decided { decision_id: Some(id), from, to, pending: true, version: self.version_of(target) })
    }

    pub(super) fn complete_decision(
        &mut self,
        actor: &Actor,
        id: DecisionId,
        error: Option<&str>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        let theirs = |decision: &&DecisionRecord| self.visible_target(actor, &decision.target).is_ok();
        let pending = self.pending_decision(id).filter(theirs).cloned();
        let pending = pending.ok_or(Rejection::NotPending { decision: id })?;
        actor.must_write("completing scaling decisions")?;
        let target = pending.target.clone();
        let memory = self.memory_of(&target);
        let memory = if error.is_some() { memory.undone() } else { Memory { undo: None, ..memory } };
        self.put_memory(&target, memory, now, changes);
        if error.is_none()
            && let Some(state) = self.scaling_state(&target).cloned()
        {
            let replicas = Some(pending.decision.replicas);
            self.put_scaling_state(changes, ScalingStateRecord { replicas, ..state });
        }
        let status = if error.is_some() { DecisionStatus::Failed } else { DecisionStatus::Completed };
        let error = error.map(one_line);
        self.put_decision(changes, DecisionRecord { status, error, completed_at: Some(now), ..pending });
        Ok(Outcome::DecisionCompleted { decision_id: id })
    }

    /// The version of a target's state; 0 where it has none.
    pub(super) fn version_of(&self, target: &ScalingTarget) -> u64 {
        self.scaling_state(target).map_or(0, |state| state.version)
    }

    pub(super) fn check_nothing_is_pending(&self, target: &ScalingTarget) -> Result<(), Rejection> {
        match self.pending_on(target) {
            Some(pending) => Err(Rejection::ScalingPending { target: target.to_string(), decision: pending.id }),
            None => Ok(()),
        }
    }

    /// A plan that was made from something older is refused, however it got here.
    fn check_it_is_still_true(&self, decided: &Decided) -> Result<(), Rejection> {
        let Decided { target, decision, based_on, .. } = decided;
        let enabled = |id: PolicyId| {
            let policy = self.policy(id).filter(|policy| policy.target == *target);
            policy.is_some_and(|policy| policy.spec.enabled && policy.updated_at <= decision.at)
        };
        let policies_stay = !decision.policies.is_empty() && decision.policies.iter().all(|policy| enabled(policy.id));
        // Nothing comes of a shadow but a row, and others of its round may have moved the state.
        let alone = matches!(decision.run, Run::Shadow | Run::Backtest);
        let same = self.version_of(target) == *based_on && self.replica_counts(target).current == decision.current;
        if policies_stay && (alone || same) { Ok(()) } else { Err(changed(target)) }
    }

    /// Whether a target may go to zero now: every policy lets it sleep, and nobody has a request open or woke it since
    /// it was found idle.
    fn may_sleep(&self, target: &ScalingTarget, decision: &Decision, now: Timestamp) -> bool {
        self.owning_policies(target).all(|policy| policy.spec().scale_to_zero)
            && self.nobody_woke_it_since(target, decision.unless_woken_after, now)
    }

    /// Whether proxies have had no request for the target since that `sequence`, and have none open or held. Where no
    /// request can come in, because it has no route or there is no proxy, it must have been found idle by something else.
    fn nobody_woke_it_since(&self, target: &ScalingTarget, sequence: Option<u64>, now: Timestamp) -> bool {
        let ScalingTarget::Deployment(id) = target else { return true };
        if self.deployment(*id).is_none_or(|deployment| deployment.record.spec.routes.is_empty()) {
            return true;
        }
        if !self.proxies().is_complete(now) {
            return false;
        }
        match (self.proxy_signal(*id, now), sequence) {
            (Some(signal), Some(sequence)) => !signal.is_busy() && signal.sequence == sequence,
            (None, None) => true,
            // It was decided before the proxies were heard, or by a leader that heard others: decided again, it is right.
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Keeps what an evaluation left to be remembered, and what undoes a change that is not carried out yet, which it is
    /// not shown. `done` makes older plans worthless though nothing else changed.
    fn remember(
        &mut self,
        decided: &Decided,
        memory: Option<Memory>,
        done: bool,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        let before = self.memory_of(&decided.target);
        let mut memory = memory.unwrap_or_else(|| before.clone());
        memory.undo = memory.undo.filter(|_| done).or_else(|| before.undo.clone());
        // Several arbiters may be on a target, one that acts and one that goes to the log: each remembers its own.
        let shown = |id: &PolicyId| decided.decision.policies.iter().any(|policy| policy.id == *id);
        memory.policies.retain(|id, _| shown(id));
        memory.policies.extend(before.policies.clone().into_iter().filter(|(id, _)| !shown(id)));
        if done || memory != before {
            self.put_memory(&decided.target, memory, now, changes);
        }
    }

    /// Writes the row of a decision.
    pub(super) fn keep_decision(
        &mut self,
        target: &ScalingTarget,
        decision: Decision,
        came: Came,
        now: Timestamp,
        changes: &mut Changes,
    ) -> DecisionId {
        let id = self.new_id(now);
        let policy = whose(&decision);
        let policy_name = policy.and_then(|id| decision.policies.iter().find(|policy| policy.id == id));
        let record = DecisionRecord {
            id,
            target: target.clone(),
            policy_id: policy,
            policy_name: policy_name.map(|policy| policy.name.clone()),
            dry_run: decision.run != Run::Live,
            status: came.status,
            error: came.error,
            triggered_by: came.triggered_by,
            completed_at: (came.status != DecisionStatus::Pending).then_some(now),
            decision: Arc::new(decision),
        };
        self.put_decision(changes, record);
        id
    }
}

/// What was said, as a row may hold it.
fn one_line(error: &str) -> String {
    error.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_ERROR_CHARS).collect()
}

fn changed(target: &ScalingTarget) -> Rejection {
    Rejection::ChangedMeanwhile { kind: "scaling target", name: target.to_string() }
}

/// The one policy of a decision, or the one whose vote counted.
fn whose(decision: &Decision) -> Option<PolicyId> {
    if let [only] = decision.policies.as_slice() {
        return Some(only.id);
    }
    let merged = Ballot::Count(decision.step(StepName::Merge).filter(|step| step.before != step.after)?.after);
    decision.votes.iter().find(|vote| vote.up == merged || vote.down == merged).map(|vote| vote.policy_id)
}

/// The decision with the count that there was room for.
pub(super) fn as_it_came_about(decision: &Decision, to: u32, short: Option<&str>) -> Decision {
    let Some(short) = short else { return decision.clone() };
    let why = decision.cause().map(|cause| format!("{cause}; ")).unwrap_or_default();
    let reason = format!("{}: {why}{short}", headline(decision.current, to));
    Decision { replicas: to, reason, ..decision.clone() }
}

/// The memory with the change that there was room for.
pub(super) fn as_it_was_done(mut memory: Memory, at: Timestamp, wanted: u32, to: u32) -> Memory {
    if let Some(last) = memory.changes.last_mut().filter(|last| last.at == at && last.to == wanted) {
        last.to = to;
    }
    memory
}
