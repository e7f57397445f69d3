//! The one entry: policies, inputs and memory in, a decision and the next memory out.
//!
//! Live evaluation, dry-run, shadow and backtest all come through here, and nothing here asks which of them it is. Must
//! never act: whoever calls applies the decision, keeps the state, or throws both away.

use std::collections::BTreeSet;

use super::arbiter;
use super::decision::{Action, Decision, InputRecord, PolicyRef, TargetRef, headline};
use super::inputs::Inputs;
use super::policy::Policy;
use super::state::State;
use super::strategy;
use crate::shorten;
use crate::time::Timestamp;

/// The longest clause of a decision, and its longest sentence, in characters.
const MOST_CLAUSE_CHARS: usize = 1_000;
const MOST_REASON_CHARS: usize = 2_000;

/// Decides how many replicas the target of `policies` should have.
///
/// All enabled policies on the target are given at once, in any order; those in shadow mode in evaluations of their own.
/// The state that comes back assumes that the decision is carried out; [`State::without_change`] is for one that could
/// not be. Where `inputs` lack what a policy needs, the count holds or takes the policy's fallback: it never fails.
#[must_use]
pub fn evaluate(policies: &[Policy], inputs: &Inputs, state: &State, now: Timestamp) -> (Decision, State) {
    let mut policies: Vec<&Policy> = policies.iter().filter(|policy| policy.spec().enabled).collect();
    policies.sort_by_key(|policy| policy.id());
    let mut next = state.clone();
    forget_what_is_gone(&policies, &mut next, now);
    let current = inputs.replicas.current;
    let mut decision = Decision {
        at: now,
        run: inputs.run,
        target: policies.first().map(|policy| TargetRef {
            target_type: policy.spec().target_type.clone(),
            target_id: policy.spec().target_id.clone(),
        }),
        policies: policies
            .iter()
            .map(|policy| PolicyRef { id: policy.id(), name: policy.spec().name.clone() })
            .collect(),
        trigger: super::inputs::Trigger::Auto,
        action: Action::Hold,
        current,
        ready: inputs.replicas.ready,
        replicas: current,
        reason: format!("{}: no policy is enabled", headline(current, current)),
        inputs: records(&policies, inputs, now),
        votes: Vec::new(),
        steps: Vec::new(),
        events: Vec::new(),
        unless_woken_after: None,
    };
    if policies.is_empty() {
        return (decision, next);
    }
    let settled = arbiter::settle(&policies, inputs, &mut next, now);
    decision.trigger = settled.trigger;
    decision.action = Action::between(current, settled.replicas);
    decision.replicas = settled.replicas;
    decision.reason = settled.reason;
    decision.votes = settled.votes;
    decision.steps = settled.steps;
    decision.events = settled.events;
    bound(&mut decision);
    decision.unless_woken_after = inputs.proxy.filter(|_| settled.sleeps).map(|proxy| proxy.sequence);
    (decision, next)
}

/// Every metric that the enabled ones of `policies` name: what [`Inputs::readings`] should hold.
#[must_use]
pub fn metrics(policies: &[Policy]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for policy in policies.iter().filter(|policy| policy.spec().enabled) {
        strategy::metrics(policy.spec(), &mut names);
    }
    names
}

/// A decision is kept, shown and sent: each text in it is short, each figure a number, whatever was measured.
fn bound(decision: &mut Decision) {
    shorten(&mut decision.reason, MOST_REASON_CHARS);
    for vote in &mut decision.votes {
        shorten(&mut vote.why, MOST_CLAUSE_CHARS);
        vote.parts.retain(|(_, value)| value.is_finite());
        vote.ratio = vote.ratio.filter(|ratio| ratio.is_finite());
    }
    for step in &mut decision.steps {
        shorten(&mut step.note, MOST_CLAUSE_CHARS);
    }
    for input in &mut decision.inputs {
        if let Some(reason) = &mut input.reason {
            shorten(reason, MOST_CLAUSE_CHARS);
        }
    }
}

fn records(policies: &[&Policy], inputs: &Inputs, now: Timestamp) -> Vec<InputRecord> {
    let mut names = BTreeSet::new();
    for policy in policies {
        strategy::metrics(policy.spec(), &mut names);
    }
    names.iter().map(|name| InputRecord::of(name, inputs.readings.get(name), now)).collect()
}

/// Of policies that are not shown nothing is kept but a pause: it is for them, whenever they act again.
fn forget_what_is_gone(policies: &[&Policy], state: &mut State, now: Timestamp) {
    let here = |id: &crate::id::PolicyId| policies.iter().any(|policy| policy.id() == *id);
    state.memory.keep_only(here, now);
    state.recent.policies.retain(|id, _| here(id));
}
