//! The arbiter: the only thing that sets a target's count.
//!
//! One file a step, in the order in which they are taken: [`collect`], [`merge`], [`command`], [`tolerance`],
//! [`stabilization`], [`rate`], [`cooldown`], the guards [`failing_release`] and [`terminations`], [`cost_cap`],
//! [`bounds`]. Invariant: every step leaves a line in the record. Must never know for what an evaluation is made.

mod bounds;
mod chain;
mod collect;
mod command;
mod cooldown;
mod cost_cap;
mod failing_release;
mod limits;
mod merge;
mod rate;
mod stabilization;
mod terminations;
mod tolerance;

use self::bounds::Zero;
use self::chain::Chain;
use self::command::Command;
use self::limits::Limits;
use super::decision::{Event, Step, StepName, headline};
use super::inputs::{Inputs, Trigger};
use super::policy::Policy;
use super::state::{Change, State};
use super::vote::Vote;
use super::window::RecommendationWindow;
use crate::time::Timestamp;

/// What came of it.
pub(crate) struct Settled {
    pub replicas: u32,
    pub trigger: Trigger,
    pub reason: String,
    pub votes: Vec<Vote>,
    pub steps: Vec<Step>,
    pub events: Vec<Event>,
    /// The target goes to sleep.
    pub sleeps: bool,
}

/// Takes all steps. `policies` are enabled and sorted by id.
pub(crate) fn settle(policies: &[&Policy], inputs: &Inputs, state: &mut State, now: Timestamp) -> Settled {
    let current = inputs.replicas.current;
    // One that is paused neither votes nor bounds.
    let awake: Vec<&Policy> =
        policies.iter().copied().filter(|policy| state.memory.paused(policy.id(), now).is_none()).collect();
    let limits = Limits::strictest(&awake);
    let collected = collect::collect(policies, inputs, state, now);
    let mut chain = Chain::new(current);
    chain.step(StepName::Collect, current, format!("policies: {}, votes: {}", policies.len(), collected.votes.len()));
    if awake.is_empty() && inputs.manual.is_none() {
        // As after a restart, nothing acts early once a policy is back.
        state.recent.recommendations = RecommendationWindow::full(current, now);
        return hands_off(collected, chain, current);
    }

    let mut merged = merge::merge(&collected.votes, current);
    if let Some(paused) = collected.paused.as_ref().filter(|_| collected.votes.is_empty()) {
        merged.why.clone_from(paused);
    }
    let command = command::find(inputs, &collected, &limits, &mut state.memory, now);
    let (raw, cause) = match &command {
        Some(command) => {
            let raw = tolerance::apply(&awake, &collected.votes, merged, current).0;
            chain.step(StepName::Override, command.replicas, command.why.clone());
            (raw, command.why.clone())
        }
        None => {
            chain.step(StepName::Merge, merged.replicas, merged.why.clone());
            chain.step(StepName::Override, merged.replicas, "");
            let cause = merged.why.clone();
            let (raw, note) = tolerance::apply(&awake, &collected.votes, merged, current);
            chain.step(StepName::Tolerance, raw.replicas, note);
            (raw, cause)
        }
    };
    let window = &mut state.recent.recommendations;
    if window.is_empty() {
        // Nothing is known of what was recommended before: as after a restart, nothing acts early.
        *window = RecommendationWindow::full(current, now);
    }
    window.push(raw.replicas, now, limits.up_stabilization.max(limits.down_stabilization));
    if command.is_none() {
        let take = |chain: &mut Chain, name, (count, note): (u32, String)| chain.step(name, count, note);
        let changes = &state.memory.changes;
        let count = chain.count();
        take(
            &mut chain,
            StepName::Stabilization,
            stabilization::apply(window, &limits, count, raw.urgent, current, now),
        );
        let count = chain.count();
        take(&mut chain, StepName::Rate, rate::apply(changes, &limits, count, current, now));
        let count = chain.count();
        take(&mut chain, StepName::Cooldown, cooldown::apply(&state.memory, &limits, count, raw.urgent, current, now));
        let count = chain.count();
        take(
            &mut chain,
            StepName::FailingRelease,
            failing_release::apply(inputs.replicas.release_failing, count, current),
        );
        let count = chain.count();
        take(&mut chain, StepName::MaxTerminations, terminations::apply(changes, &limits, count, current, now));
    }
    let (count, note) = cost_cap::apply(&limits, inputs.replica_hourly_cost, chain.count(), current);
    chain.step(StepName::CostCap, count, note);
    let zero = Zero::of(&collected.idleness, &limits, current, command.is_some());
    let (count, note) = bounds::apply(&limits, collected.window, &zero, chain.count());
    let zero_why = match zero {
        Zero::No => None,
        Zero::Idle(why) => Some(why),
        Zero::Asleep => Some("it sleeps until it is needed".to_owned()),
    };
    chain.step(StepName::Bounds, count, note);

    note_outcome(state, &limits, command.as_ref(), current, count, now);
    let wanted = command.as_ref().map_or(raw.replicas, |command| command.replicas);
    let reason = match zero_why {
        // Zero outranks whatever was said before.
        Some(why) => sentence(&Chain::new(count), current, count, &why),
        None => sentence(&chain, current, wanted, &cause),
    };
    Settled {
        replicas: count,
        trigger: command.as_ref().map_or(Trigger::Auto, |command| command.trigger),
        reason,
        sleeps: count == 0 && current > 0,
        steps: chain.into_steps(),
        votes: collected.votes,
        events: collected.events,
    }
}

/// Every policy is paused: the count is nobody's to change, bounds included.
fn hands_off(collected: collect::Collected, chain: Chain, current: u32) -> Settled {
    let why = collected.paused.unwrap_or_default();
    Settled {
        replicas: current,
        trigger: Trigger::Auto,
        reason: sentence(&chain, current, current, &why),
        votes: collected.votes,
        steps: chain.into_steps(),
        events: collected.events,
        sleeps: false,
    }
}

fn note_outcome(
    state: &mut State,
    limits: &Limits,
    command: Option<&Command>,
    current: u32,
    count: u32,
    now: Timestamp,
) {
    if command.is_some_and(|command| command.is_new) {
        state.recent.recommendations = RecommendationWindow::full(count, now);
    }
    if count != current {
        let starts_cooldown = command.is_none_or(|command| command.starts_cooldown);
        let change = Change { at: now, from: current, to: count };
        state.note_change(change, starts_cooldown, limits.memory_of_changes());
    }
}

/// What was done and why, in one sentence.
fn sentence(chain: &Chain, current: u32, wanted: u32, cause: &str) -> String {
    let count = chain.count();
    let limits: Vec<&str> = chain.limits().into_iter().filter(|limit| *limit != cause).collect();
    let mut sentence = headline(current, count);
    if count == current && wanted != current {
        sentence.push_str(&format!(", wanted {wanted}"));
    }
    let own = wanted != current || limits.is_empty();
    let reasons = own.then_some(cause).into_iter().chain(limits).filter(|reason| !reason.is_empty());
    for (index, reason) in reasons.enumerate() {
        sentence.push_str(if index == 0 { ": " } else { "; " });
        sentence.push_str(reason);
    }
    sentence
}
