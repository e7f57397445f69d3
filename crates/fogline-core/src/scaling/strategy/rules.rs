//! The rules strategy: thresholds that must hold for a while (SCALE-001).
//!
//! Decides per direction. Up takes the largest `scale_by` of the rules that hold, down the smallest step. Must never
//! count a missing sample as met or as not met. Tests: `tests/it/scaling/scripts/rules*.txt`.

use super::Context;
use crate::scaling::policy::{Match, RuleSpec, Span};
use crate::scaling::state::PolicyMemory;
use crate::scaling::vote::{Ballot, StrategyKind, Vote};

/// What one rule says now.
enum Verdict {
    /// It has held for its duration.
    Holds,
    /// It is met, but not for long enough.
    Pending,
    /// Its last sample does not meet it.
    NotMet,
    /// There is no fresh sample.
    NoData,
}

/// What the rules of one direction say.
struct Side {
    ballot: Ballot,
    why: String,
}

/// The vote of both directions.
pub(super) fn vote(context: &Context<'_>, memory: &mut PolicyMemory) -> Vote {
    let spec = context.policy.spec();
    let current = context.inputs.replicas.current;
    let up = side(context, memory, "up", &spec.scale_up_rules, |steps| {
        current.saturating_add(steps.iter().copied().max().unwrap_or(0).unsigned_abs())
    });
    let down = side(context, memory, "down", &spec.scale_down_rules, |steps| {
        current.saturating_sub(steps.iter().copied().max().unwrap_or(0).unsigned_abs())
    });
    let why = match (&up.ballot, &down.ballot) {
        (Ballot::Count(_) | Ballot::NoData, _) => up.why,
        (_, Ballot::Count(_) | Ballot::NoData) => down.why,
        _ => [up.why, down.why].into_iter().filter(|why| !why.is_empty()).collect::<Vec<_>>().join("; "),
    };
    // Going up and down at once is a mistake in the rules; up is the safe side.
    let down = if matches!(up.ballot, Ballot::Count(_)) { Ballot::Hold } else { down.ballot };
    let mut vote = Vote::new(context.policy.id(), StrategyKind::Rules, why);
    (vote.up, vote.down) = (up.ballot, down);
    vote.external =
        spec.scale_up_rules.iter().chain(&spec.scale_down_rules).any(|rule| context.is_external(&rule.metric));
    vote
}

fn side(
    context: &Context<'_>,
    memory: &mut PolicyMemory,
    direction: &str,
    rules: &[RuleSpec],
    count: impl Fn(&[i32]) -> u32,
) -> Side {
    if rules.is_empty() {
        return Side { ballot: Ballot::Abstain, why: String::new() };
    }
    let (mut steps, mut holding, mut short, mut lacking) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for rule in rules {
        let (verdict, words) = look(context, memory, direction, rule);
        match verdict {
            Verdict::Holds => {
                steps.push(rule.scale_by);
                holding.push(words);
            }
            Verdict::NoData => lacking.push(words),
            Verdict::Pending | Verdict::NotMet => short.push(words),
        }
    }
    let matched = match context.policy.spec().matching {
        Match::All => short.is_empty() && lacking.is_empty(),
        Match::Any => !holding.is_empty(),
    };
    if matched {
        Side { ballot: Ballot::Count(count(&steps)), why: holding.join(" and ") }
    } else if !lacking.is_empty() {
        Side { ballot: Ballot::NoData, why: lacking.join(" and ") }
    } else {
        Side { ballot: Ballot::Hold, why: short.join(" and ") }
    }
}

fn look(context: &Context<'_>, memory: &mut PolicyMemory, direction: &str, rule: &RuleSpec) -> (Verdict, String) {
    let Some(reading) = context.inputs.readings.get(&rule.metric) else {
        return (Verdict::NoData, format!("{} is missing", rule.metric));
    };
    let clock = memory.clocks.entry(key(direction, rule)).or_default();
    clock.advance(reading, context.now, |value| rule.operator.holds(value, rule.threshold));
    let Some(point) = reading.fresh(context.now) else {
        return (Verdict::NoData, context.lacking(&rule.metric));
    };
    let value = context.shown(point.value);
    match clock.held() {
        None => {
            (Verdict::NotMet, format!("{} is {value}, not {} {}", rule.metric, rule.operator.sign(), rule.threshold))
        }
        Some(held) if held < rule.duration.0 => {
            let words = format!("{rule} for {} of {}, now {value}", Span(held), rule.duration);
            (Verdict::Pending, words)
        }
        Some(_) if rule.duration == Span::ZERO => (Verdict::Holds, format!("{rule}, now {value}")),
        Some(held) => (Verdict::Holds, format!("{rule} for {}, now {value}", Span(held))),
    }
}

/// Under what the clock of a rule is kept: a changed threshold is another condition, a changed duration is not.
pub(super) fn key(direction: &str, rule: &RuleSpec) -> String {
    format!("{direction} {rule}")
}
