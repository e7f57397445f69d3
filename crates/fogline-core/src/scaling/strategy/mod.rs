//! The strategies: one file each, joined by a closed enum.
//!
//! A strategy reads the inputs and its own memory and votes. Must never see another strategy's vote, or set the count.

pub(crate) mod cron;
mod expected;
mod forecast;
pub(crate) mod idle;
mod load_score;
mod rules;
pub(crate) mod schedule;
mod target;

use std::collections::BTreeSet;

use super::inputs::Inputs;
use super::policy::{ForecastSpec, LoadScoreSpec, Policy, PolicySpec, TargetSpec};
use super::sample::Sample;
use super::state::{PolicyMemory, PolicyRecent};
use super::vote::{Ballot, StrategyKind, Vote};
use crate::time::Timestamp;

pub use load_score::LoadScore;
pub use schedule::{Transition, TransitionKind, preview};

/// What a strategy of one policy looks at.
pub(crate) struct Context<'a> {
    pub inputs: &'a Inputs,
    pub policy: &'a Policy,
    pub now: Timestamp,
}

impl Context<'_> {
    /// The fresh value of a metric.
    fn value(&self, metric: &str) -> Option<f64> {
        self.inputs.readings.get(metric)?.fresh(self.now).map(|point| point.value)
    }

    /// Why a metric has no fresh value.
    fn lacking(&self, metric: &str) -> String {
        match self.inputs.readings.get(metric).map(|reading| reading.judged(self.now)) {
            None | Some(Sample::Missing) => format!("{metric} is missing"),
            Some(Sample::Stale { at, .. }) => {
                format!("{metric} is stale, {} s old", self.now.since(at).as_secs())
            }
            Some(Sample::Error { reason }) => format!("{metric} cannot be read: {reason}"),
            Some(Sample::Value { .. }) => format!("{metric} has a value"),
        }
    }

    /// Whether somebody else measured the metric.
    fn is_external(&self, metric: &str) -> bool {
        self.inputs.readings.get(metric).is_some_and(|reading| reading.source.is_external())
    }

    /// A figure as people read it.
    #[expect(clippy::unused_self, reason = "reads as one of the context's words")]
    fn shown(&self, value: f64) -> String {
        shown(value)
    }
}

/// A figure as people read it: with at most two places after the point, and a very large one by its power of ten.
#[must_use]
pub fn shown(value: f64) -> String {
    if value.abs() >= 1e15 {
        return format!("{value:e}");
    }
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A moment as people read it, to the second.
pub(crate) fn moment(at: Timestamp) -> String {
    let micros = at.as_micros();
    Timestamp::from_micros(micros - micros.rem_euclid(1_000_000)).to_string().replace(".000000Z", "Z")
}

/// Rounded up to a count, without the noise of binary fractions: 3 · 1.1 / 1.1 is 3.
pub(crate) fn ceil(value: f64) -> u32 {
    // `as` saturates: what is below 0 is 0, what is too large is the largest.
    (value - 1e-9 * value.abs().max(1.0)).ceil().max(0.0) as u32
}

/// The strategies that vote by metrics.
enum Strategy<'a> {
    Rules,
    LoadScore(&'a LoadScoreSpec),
    Target(&'a TargetSpec),
    Forecast(&'a ForecastSpec),
}

impl Strategy<'_> {
    fn kind(&self) -> StrategyKind {
        match self {
            Self::Rules => StrategyKind::Rules,
            Self::LoadScore(_) => StrategyKind::LoadScore,
            Self::Target(_) => StrategyKind::Target,
            Self::Forecast(_) => StrategyKind::Forecast,
        }
    }

    fn vote(&self, context: &Context<'_>, memory: &mut PolicyMemory, recent: &mut PolicyRecent) -> Vote {
        match self {
            Self::Rules => rules::vote(context, memory),
            Self::LoadScore(spec) => load_score::vote(context, spec, memory),
            Self::Target(spec) => target::vote(context, spec, memory, recent),
            Self::Forecast(spec) => forecast::vote(context, spec),
        }
    }
}

fn strategies(spec: &PolicySpec) -> impl Iterator<Item = Strategy<'_>> {
    let rules = !spec.scale_up_rules.is_empty() || !spec.scale_down_rules.is_empty();
    let rules = rules.then_some(Strategy::Rules);
    let score = spec.load_score.as_ref().map(Strategy::LoadScore);
    let forecast = spec.forecast.as_ref().map(Strategy::Forecast);
    rules.into_iter().chain(score).chain(spec.targets.iter().map(Strategy::Target)).chain(forecast)
}

/// The votes of a policy's metric strategies. A target that sleeps has no load to speak of: they abstain.
pub(crate) fn votes(context: &Context<'_>, memory: &mut PolicyMemory, recent: &mut PolicyRecent) -> Vec<Vote> {
    let asleep = context.policy.spec().scale_to_zero && context.inputs.replicas.current == 0;
    strategies(context.policy.spec())
        .map(|strategy| {
            if asleep {
                return Vote::new(context.policy.id(), strategy.kind(), "the target sleeps");
            }
            covered(context, &strategy, strategy.vote(context, memory, recent))
        })
        .collect()
}

/// Guard: a mean over some of the replicas is no reason to go down. Target tracking reckons with the others itself.
fn covered(context: &Context<'_>, strategy: &Strategy<'_>, mut vote: Vote) -> Vote {
    let mut names = BTreeSet::new();
    match strategy {
        Strategy::Rules => {
            names.extend(context.policy.spec().scale_down_rules.iter().map(|rule| rule.metric.as_str()));
        }
        Strategy::LoadScore(_) => names.extend(load_score::METRICS),
        Strategy::Target(_) | Strategy::Forecast(_) => return vote,
    }
    if !matches!(vote.down, Ballot::Count(_)) {
        return vote;
    }
    let missing = |name: &&str| {
        let coverage = context.inputs.readings.get(*name).and_then(|reading| reading.coverage);
        coverage.is_some_and(|coverage| coverage.missing > 0)
    };
    if let Some(name) = names.into_iter().find(missing) {
        vote.down = Ballot::NoData;
        vote.why = format!("{}, but not every ready replica has given {name}", vote.why);
    }
    vote
}

/// Forgets the clocks and windows of conditions that the policy does not name any more.
pub(crate) fn forget_what_is_gone(spec: &PolicySpec, memory: &mut PolicyMemory, recent: &mut PolicyRecent) {
    let most = spec.scale_up_rules.len() + spec.scale_down_rules.len() + spec.idle.activation.len() + 2;
    if memory.clocks.len() > most
        || recent.points.len() > spec.targets.len()
        || memory.panics.len() > spec.targets.len()
    {
        let mut keys: BTreeSet<String> = BTreeSet::new();
        keys.extend(spec.scale_up_rules.iter().map(|rule| rules::key("up", rule)));
        keys.extend(spec.scale_down_rules.iter().map(|rule| rules::key("down", rule)));
        keys.extend(spec.idle.activation.iter().map(|one| idle::key(&one.metric, one.activation)));
        if spec.load_score.is_some() {
            keys.extend([load_score::CPU_CLOCK.to_owned(), load_score::MEMORY_CLOCK.to_owned()]);
        }
        memory.clocks.retain(|key, _| keys.contains(key));
        let named = |metric: &String| spec.targets.iter().any(|target| target.metric == *metric);
        recent.points.retain(|metric, _| named(metric));
        memory.panics.retain(|metric, _| named(metric));
    }
}

/// Every metric that a policy names.
pub(crate) fn metrics(spec: &PolicySpec, names: &mut BTreeSet<String>) {
    let rules = spec.scale_up_rules.iter().chain(&spec.scale_down_rules);
    names.extend(rules.map(|rule| rule.metric.clone()));
    names.extend(spec.targets.iter().map(|target| target.metric.clone()));
    if spec.scale_to_zero {
        names.extend(spec.idle.activation.iter().map(|one| one.metric.clone()));
    }
    if spec.load_score.is_some() {
        names.extend(load_score::METRICS.iter().map(|metric| (*metric).to_owned()));
    }
}
