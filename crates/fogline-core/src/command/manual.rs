//! A count that a person sets.
//!
//! Where policies own the count it is a command to their arbiter, which holds it until it is over; where none do, it is
//! set and that is all. Invariant: all of it or nothing: a person is told that there is no room, and not given half.

use std::time::Duration;

use super::decide::Came;
use super::{Actor, ByHand, Outcome, Rejection};
use crate::cluster::{Changes, Cluster};
use crate::id::{DecisionId, DeploymentId};
use crate::record::{DecisionStatus, ScalingTarget};
use crate::scaling::decision::{Action, Step, StepName, headline};
use crate::scaling::inputs::{ManualScale, ReplicaCounts, Run, Trigger};
use crate::scaling::policy::{MAX_REPLICAS_ELSEWHERE, validate_manual};
use crate::scaling::state::{Memory, Recent};
use crate::scaling::{Decision, Inputs, Policy, State, evaluate};
use crate::spec::{DeploymentSpec, FieldError, validate_replicas};
use crate::state::DeploymentStatus;
use crate::time::Timestamp;

/// The longest that a person's count may hold, or a policy be paused; what should last longer is said in the policy.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
const MAX_REASON_CHARS: usize = 500;

/// What came of it.
pub(super) struct SetByHand {
    pub decision_id: DecisionId,
    pub from: u32,
    pub to: u32,
    /// Whether an executor has to carry it out.
    pub pending: bool,
}

impl Cluster {
    pub(super) fn scale_target(
        &mut self,
        actor: &Actor,
        target: &ScalingTarget,
        count: &ByHand,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        self.visible_target(actor, target)?;
        actor.must_write("scaling")?;
        let outside = matches!(target, ScalingTarget::Outside { .. });
        if outside && self.policies_on(target).next().is_none() {
            return Err(Rejection::NotFound { kind: "scaling target", id: target.to_string() });
        }
        let set = self.set_by_hand(actor, target, count, now, changes)?;
        let SetByHand { decision_id, from, to, pending } = set;
        let version = self.version_of(target);
        Ok(Outcome::Decided { decision_id: Some(decision_id), from, to, pending, version })
    }

    /// Whether policies set a target's count, rather than people and specs.
    pub(super) fn is_owned(&self, target: &ScalingTarget) -> bool {
        self.owning_policies(target).next().is_some()
    }

    /// Sets the count of a target that the actor may scale.
    pub(super) fn set_by_hand(
        &mut self,
        actor: &Actor,
        target: &ScalingTarget,
        count: &ByHand,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<SetByHand, Rejection> {
        let replicas = checked_count(target, count, now)?;
        let before = self.memory_of(target);
        let owning = self.owning_awake(target, &before, now);
        validate_manual(&owning, replicas).map_err(Rejection::field)?;
        let counts = self.replica_counts(target);
        // Nobody passes for an administrator by saying so.
        let trigger = count.trigger.filter(|word| *word != Trigger::Admin || actor.is_admin());
        let trigger = trigger.unwrap_or_else(|| trigger_of(actor));
        let manual = ManualScale { replicas, by: name_of(actor), trigger, until: count.until };
        let (mut decision, memory) = if owning.is_empty() {
            let note = format!("set to {replicas} by {}", manual.by);
            (plainly(target, counts, replicas, trigger, note, now), before.clone())
        } else {
            by_the_arbiter(
                &owning,
                Inputs { replicas: counts, manual: Some(manual), ..Inputs::default() },
                &before,
                now,
            )
        };
        if let Some(reason) = &count.reason {
            decision.reason = format!("{}; {reason}", decision.reason);
        }
        let (from, to) = (counts.current, decision.replicas);
        let (pending, memory) = match target {
            ScalingTarget::Deployment(id) => {
                self.set_deployment_by_hand(actor, *id, &decision, now, changes)?;
                (false, memory)
            }
            ScalingTarget::Outside { .. } => {
                self.check_nothing_is_pending(target)?;
                let told = self.scaling_state(target).and_then(|state| state.replicas);
                let pending = told != Some(to);
                let undo = pending.then(|| Box::new(before.undo()));
                (pending, Memory { undo, ..memory })
            }
        };
        if self.policies_on(target).next().is_some() {
            self.put_memory(target, memory, now, changes);
        }
        let status = if pending { DecisionStatus::Pending } else { DecisionStatus::Completed };
        let came = Came { triggered_by: actor.user_id(), ..Came::to(status) };
        let decision_id = self.keep_decision(target, decision, came, now, changes);
        Ok(SetByHand { decision_id, from, to, pending })
    }

    fn set_deployment_by_hand(
        &mut self,
        actor: &Actor,
        id: DeploymentId,
        decision: &Decision,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Rejection> {
        let record = self.visible_deployment(actor, id)?.record.clone();
        if record.status == DeploymentStatus::Failed {
            return Err(Rejection::WrongStatus { action: "scale", status: record.status });
        }
        if decision.replicas == record.target_replicas {
            return Ok(());
        }
        let spec = DeploymentSpec { replicas: decision.replicas, ..(*record.spec).clone() };
        self.resize(actor, record, spec.into(), decision.cause(), now, changes)
    }
}

fn checked_count(target: &ScalingTarget, asked: &ByHand, now: Timestamp) -> Result<u32, Rejection> {
    let ByHand { replicas, reason, until, .. } = asked;
    let count = match target {
        ScalingTarget::Deployment(_) => validate_replicas("replicas", *replicas),
        ScalingTarget::Outside { .. } => {
            let fits = u32::try_from(*replicas).ok().filter(|count| (1..=MAX_REPLICAS_ELSEWHERE).contains(count));
            let accepted = format!("1 to {MAX_REPLICAS_ELSEWHERE}");
            fits.ok_or_else(|| FieldError::new("replicas", format!("{replicas} is out of range"), accepted))
        }
    };
    let mut errors: Vec<FieldError> = count.as_ref().err().cloned().into_iter().collect();
    let is_line = |reason: &String| reason.chars().count() <= MAX_REASON_CHARS && !reason.contains(char::is_control);
    if !reason.as_ref().is_none_or(is_line) {
        let accepted = format!("at most {MAX_REASON_CHARS} characters in one line");
        errors.push(FieldError::new("reason", "is too long, or not one line", accepted));
    }
    errors.extend(check_until("override_until", *until, now).err());
    match count {
        Ok(count) if errors.is_empty() => Ok(count),
        _ => Err(Rejection::Invalid(errors)),
    }
}

/// Checks the end of something that a person sets for a while.
pub(super) fn check_until(field: &str, until: Option<Timestamp>, now: Timestamp) -> Result<(), FieldError> {
    match until {
        Some(until) if until <= now || until.since(now) > LONGEST => {
            Err(FieldError::new(field, format!("{until} is out of range"), "a time within the next 366 days"))
        }
        _ => Ok(()),
    }
}

/// The arbiter's own way for a command. Nothing was asked of any source, so what the policies' clocks would make of that
/// counts for nothing.
pub(super) fn by_the_arbiter(owning: &[Policy], inputs: Inputs, before: &Memory, now: Timestamp) -> (Decision, Memory) {
    let state = State { memory: before.clone(), recent: Recent::default() };
    let (decision, after) = evaluate(owning, &inputs, &state, now);
    (decision, Memory { policies: before.policies.clone(), undo: before.undo.clone(), ..after.memory })
}

/// The record of a count that nobody else has a say in.
pub(super) fn plainly(
    target: &ScalingTarget,
    counts: ReplicaCounts,
    to: u32,
    trigger: Trigger,
    note: String,
    now: Timestamp,
) -> Decision {
    let from = counts.current;
    Decision {
        at: now,
        run: Run::Live,
        target: Some(target.into()),
        policies: Vec::new(),
        trigger,
        action: Action::between(from, to),
        current: from,
        ready: counts.ready,
        replicas: to,
        reason: format!("{}: {note}", headline(from, to)),
        inputs: Vec::new(),
        votes: Vec::new(),
        steps: vec![Step { name: StepName::Override, before: from, after: to, note }],
        events: Vec::new(),
        unless_woken_after: None,
    }
}

fn name_of(actor: &Actor) -> String {
    match actor {
        Actor::User { name, .. } => name.clone(),
        Actor::Agent | Actor::System => "the system".to_owned(),
    }
}

const fn trigger_of(actor: &Actor) -> Trigger {
    if actor.is_admin() { Trigger::Admin } else { Trigger::Manual }
}
