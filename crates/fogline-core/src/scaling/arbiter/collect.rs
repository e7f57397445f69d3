//! Step 1: the recommendations of every enabled policy on the target.
//!
//! Also here are the two guards that look at single votes: what a policy does without data, and that the proxy's own
//! traffic outranks a metric of somebody else's that says zero.

use std::collections::BTreeSet;

use crate::scaling::decision::Event;
use crate::scaling::inputs::Inputs;
use crate::scaling::policy::{FallbackBehavior, OnMissing, Policy, WindowMode};
use crate::scaling::state::{PolicyRecent, State};
use crate::scaling::strategy::idle::{self, Idleness};
use crate::scaling::strategy::schedule::{self, Fired, OpenWindow};
use crate::scaling::strategy::{self, Context, moment};
use crate::scaling::vote::{Ballot, StrategyKind, Vote};
use crate::time::Timestamp;

/// What the policies say together.
pub(crate) struct Collected {
    /// In an order that does not depend on the order of the policies.
    pub votes: Vec<Vote>,
    pub fired: Option<Fired>,
    pub window: Option<OpenWindow>,
    pub idleness: Idleness,
    pub events: Vec<Event>,
    /// The last policy that is paused, in words.
    pub paused: Option<String>,
}

/// Asks every policy.
pub(crate) fn collect(policies: &[&Policy], inputs: &Inputs, state: &mut State, now: Timestamp) -> Collected {
    let mut all = Collected {
        votes: Vec::new(),
        fired: None,
        window: None,
        idleness: Idleness::NotAsked,
        events: Vec::new(),
        paused: None,
    };
    let mut idlenesses = Vec::with_capacity(policies.len());
    for policy in policies {
        let context = Context { inputs, policy, now };
        let memory = state.memory.policies.entry(policy.id()).or_default();
        let recent = state.recent.policies.entry(policy.id()).or_default();
        strategy::forget_what_is_gone(policy.spec(), memory, recent);
        // A pause passes over fire times as well: they are not caught up when it ends.
        let schedules = schedule::look(&context, memory);
        if let Some(until) = memory.paused_until.filter(|until| now < *until) {
            let words = format!("{} is paused until {}", policy.spec().name, moment(until));
            idlenesses.push(Idleness::Needed(words.clone()));
            all.paused = Some(words);
            continue;
        }
        memory.paused_until = None;
        let idleness = idle::look(&context, memory);
        let mut votes = strategy::votes(&context, memory, recent);
        for vote in &mut votes {
            without_data(vote, &context, recent, &mut all.events);
            outrank(vote, &context, &mut all.events);
        }
        if policy.spec().schedules.iter().any(|one| one.duration.is_some()) {
            votes.push(schedule::vote(&context, &schedules));
        }
        votes.extend(idle_vote(&context, &idleness));
        all.votes.append(&mut votes);
        all.fired = all.fired.max(schedules.fired);
        all.window = all.window.max(schedules.window);
        all.events.extend(schedules.events);
        idlenesses.push(idleness);
    }
    all.idleness = together(idlenesses, all.window, inputs.replicas.current == 0);
    all.votes.sort_by(|a, b| a.rank().cmp(&b.rank()));
    all
}

/// One that wakes is enough to wake, and so is an open window that asks for replicas; all must be idle to sleep.
fn together(all: Vec<Idleness>, window: Option<OpenWindow>, asleep: bool) -> Idleness {
    if let Some(wake) = all.iter().find(|one| matches!(one, Idleness::Wake { .. })) {
        return wake.clone();
    }
    let window = window.filter(|window| window.mode != WindowMode::Max);
    let why = window.map(|window| format!("a window keeps {} until {}", window.desired, moment(window.end)));
    let may_sleep = all.iter().any(|one| *one != Idleness::NotAsked);
    match why {
        Some(why) if asleep && may_sleep => Idleness::Wake { by_request: false, why },
        why => {
            let other = all.iter().find(|one| !matches!(one, Idleness::Idle(_)));
            let needed = other.cloned().or_else(|| why.map(Idleness::Needed));
            needed.or_else(|| all.into_iter().next()).unwrap_or(Idleness::NotAsked)
        }
    }
}

/// For the record only: idleness acts at the bounds.
fn idle_vote(context: &Context<'_>, idleness: &Idleness) -> Option<Vote> {
    let vote = |why: &str| Vote::new(context.policy.id(), StrategyKind::Idle, why);
    match idleness {
        Idleness::NotAsked => None,
        Idleness::Needed(why) | Idleness::NoData(why) => Some(vote(why)),
        Idleness::Wake { why, .. } => Some(Vote { up: Ballot::Count(1), ..vote(why) }),
        Idleness::Idle(why) => Some(Vote { down: Ballot::Count(0), ..vote(why) }),
    }
}

/// Guard: what the policy says about missing data takes the place of a vote that lacks it.
fn without_data(vote: &mut Vote, context: &Context<'_>, recent: &mut PolicyRecent, events: &mut Vec<Event>) {
    let subject = match &vote.metric {
        Some(metric) => format!("{} {metric}", vote.strategy.as_str()),
        None => vote.strategy.as_str().to_owned(),
    };
    if !vote.lacks_data() {
        recent.failures.remove(&subject);
        return;
    }
    let failures = recent.failures.entry(subject.clone()).or_default();
    *failures = failures.saturating_add(1);
    let spec = context.policy.spec();
    let current = context.inputs.replicas.current;
    match (spec.on_missing, spec.fallback) {
        (OnMissing::Up, _) => {
            // A direction that has its data keeps its word.
            if !matches!(vote.up, Ballot::Count(_)) {
                vote.up = Ballot::Count(current.saturating_add(1));
                vote.why = format!("{}, and the policy goes up without data", vote.why);
            }
            vote.down = Ballot::NoData;
        }
        (OnMissing::Fallback, Some(fallback)) if *failures >= fallback.after_failures => {
            let replicas = match fallback.behavior {
                FallbackBehavior::Static => fallback.replicas,
                FallbackBehavior::CurrentIfHigher => fallback.replicas.max(current),
                FallbackBehavior::CurrentIfLower => fallback.replicas.min(current),
            };
            if *failures == fallback.after_failures {
                events.push(Event::Fallback { subject, replicas });
            }
            let why = format!("{} for {failures} evaluations, so the fallback of {replicas} counts", vote.why);
            *vote =
                Vote { why, ratio: None, urgent: false, external: false, ..vote.clone() }.wanting(replicas, current);
        }
        _ => {}
    }
}

/// Guard: while the proxy has requests, a metric of somebody else's cannot say that there is nothing to do.
fn outrank(vote: &mut Vote, context: &Context<'_>, events: &mut Vec<Event>) {
    let is_busy = context.inputs.proxy.is_some_and(|proxy| proxy.is_busy());
    if !is_busy || !vote.external || !matches!(vote.down, Ballot::Count(_)) {
        return;
    }
    let mut names = BTreeSet::new();
    match &vote.metric {
        Some(metric) => _ = names.insert(metric.clone()),
        None => strategy::metrics(context.policy.spec(), &mut names),
    }
    let says_zero = |name: &String| {
        let reading = context.inputs.readings.get(name).filter(|reading| reading.source.is_external());
        reading.and_then(|reading| reading.fresh(context.now)).is_some_and(|point| point.value == 0.0)
    };
    if vote.down == Ballot::Count(0) || names.iter().any(says_zero) {
        let metric = vote.metric.clone().unwrap_or_else(|| vote.strategy.as_str().to_owned());
        vote.why = format!("{}, but the proxy has requests", vote.why);
        *vote = Vote { ratio: None, ..vote.clone() }.holding();
        events.push(Event::TrafficConflict { metric });
    }
}
