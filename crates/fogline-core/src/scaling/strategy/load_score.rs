//! The load score strategy: one figure from 0 to 100 out of processor, memory, requests and errors (the proxy seed).
//!
//! Decides up above `scale_up_threshold`, down below `scale_down_threshold`, by steps of `aggressiveness`. A mean hides
//! a saturated part, so the guard looks at processor and memory alone as well. Must never go up because of errors
//! alone: more replicas of what fails do not help. Tests: `tests/it/scaling/load_score.rs`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Context;
use crate::scaling::policy::{Aggressiveness, LoadScoreSpec};
use crate::scaling::sample::builtin;
use crate::scaling::state::PolicyMemory;
use crate::scaling::vote::{StrategyKind, Vote};

/// How long one part alone must be past its midpoint.
const SATURATED_FOR: Duration = Duration::from_secs(60);
pub(super) const CPU_CLOCK: &str = "cpu saturated";
pub(super) const MEMORY_CLOCK: &str = "memory saturated";
/// More than this no figure of the score counts: a hundred times all there is.
const MOST_PERCENT: f64 = 10_000.0;
/// The metrics that make up the score.
pub(super) const METRICS: [&str; 4] =
    [builtin::CPU_PERCENT, builtin::MEMORY_PERCENT, builtin::REQUEST_RATE, builtin::ERROR_RATE];

/// The four figures, already weighted. Together they are the score, at most 100.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct LoadScore {
    /// 40 % of the processor use.
    pub cpu: f64,
    /// 30 % of the memory use.
    pub memory: f64,
    /// 20 % of the request rate, where the target rate is 100.
    pub requests: f64,
    /// 10 % of the error rate.
    pub errors: f64,
}

impl LoadScore {
    /// Weighs the figures: percent, percent, requests a second, percent.
    #[must_use]
    pub fn new(cpu: f64, memory: f64, request_rate: f64, error_rate: f64, target_request_rate: f64) -> Self {
        // Anybody may have measured them: a figure below nothing would hide another, and one beyond all bounds the rest.
        let percent = |value: f64| value.clamp(0.0, MOST_PERCENT);
        Self {
            cpu: 0.40 * percent(cpu),
            memory: 0.30 * percent(memory),
            requests: 0.20 * (request_rate / target_request_rate * 100.0).clamp(0.0, 100.0),
            errors: 0.10 * percent(error_rate),
        }
    }

    /// The score.
    #[must_use]
    pub fn total(&self) -> f64 {
        rounded(self.cpu + self.memory + self.requests + self.errors).min(100.0)
    }

    fn without_errors(&self) -> f64 {
        rounded(self.cpu + self.memory + self.requests).min(100.0)
    }
}

/// Without the noise of binary fractions, which would put a score of exactly 80 above 80.
fn rounded(score: f64) -> f64 {
    (score * 1e9).round() / 1e9
}

/// The vote.
pub(super) fn vote(context: &Context<'_>, spec: &LoadScoreSpec, memory: &mut PolicyMemory) -> Vote {
    let current = context.inputs.replicas.current;
    let vote = Vote::new(context.policy.id(), StrategyKind::LoadScore, "");
    let saturated = saturation(context, spec, memory);
    let mut values = [0.0; METRICS.len()];
    for (value, metric) in values.iter_mut().zip(METRICS) {
        let Some(found) = context.value(metric) else {
            return Vote { why: context.lacking(metric), ..vote }.without_data();
        };
        *value = found;
    }
    let [cpu, memory_percent, request_rate, error_rate] = values;
    let score = LoadScore::new(cpu, memory_percent, request_rate, error_rate, spec.target_request_rate);
    let parts = [
        ("cpu", score.cpu),
        ("memory", score.memory),
        ("requests", score.requests),
        ("errors", score.errors),
        ("load_score", score.total()),
    ];
    let vote = Vote {
        parts: parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        external: METRICS.iter().any(|metric| context.is_external(metric)),
        ..vote
    };
    let (total, shown) = (score.total(), context.shown(score.total()));
    let up = |ratio: f64| step_up(spec.aggressiveness, current, ratio);
    if total > spec.scale_up_threshold {
        if spec.saturation_guard && score.without_errors() <= spec.scale_up_threshold {
            let why = format!("load score {shown} is above {} only because of errors", spec.scale_up_threshold);
            return Vote { why, ..vote }.holding();
        }
        let why = format!("load score {shown} is above {}", spec.scale_up_threshold);
        return Vote { why, ..vote }.wanting(up(total / spec.scale_up_threshold), current);
    }
    if let Some(Saturated { name, percent, midpoint, for_long }) = saturated {
        let shown = context.shown(percent);
        if for_long {
            let why = format!("{name} alone is at {shown} %, past {midpoint} % for a minute");
            return Vote { why, ..vote }.wanting(up(percent / midpoint), current);
        }
        if total < spec.scale_down_threshold {
            return Vote { why: format!("{name} alone is at {shown} %"), ..vote }.holding();
        }
    }
    if total < spec.scale_down_threshold {
        let why = format!("load score {shown} is below {}", spec.scale_down_threshold);
        return Vote { why, ..vote }.wanting(step_down(spec.aggressiveness, current), current);
    }
    let why = format!("load score {shown} is between {} and {}", spec.scale_down_threshold, spec.scale_up_threshold);
    Vote { why, ..vote }.holding()
}

fn step_up(by: Aggressiveness, current: u32, ratio: f64) -> u32 {
    match by {
        Aggressiveness::Conservative => current.saturating_add(1),
        // Never less than one: the ratio is above 1.
        Aggressiveness::Balanced => super::ceil(f64::from(current) * ratio).max(current.saturating_add(1)),
        Aggressiveness::Aggressive => current.saturating_mul(2),
    }
}

fn step_down(by: Aggressiveness, current: u32) -> u32 {
    match by {
        Aggressiveness::Conservative | Aggressiveness::Balanced => current.saturating_sub(1),
        Aggressiveness::Aggressive => current.div_ceil(2),
    }
}

/// A part that is past the midpoint between its target and 100 %.
struct Saturated {
    name: &'static str,
    percent: f64,
    midpoint: f64,
    for_long: bool,
}

fn saturation(context: &Context<'_>, spec: &LoadScoreSpec, memory: &mut PolicyMemory) -> Option<Saturated> {
    if !spec.saturation_guard {
        return None;
    }
    let mut found: Option<Saturated> = None;
    for (name, metric, clock, target) in [
        ("cpu", builtin::CPU_PERCENT, CPU_CLOCK, spec.target_cpu_percent),
        ("memory", builtin::MEMORY_PERCENT, MEMORY_CLOCK, spec.target_memory_percent),
    ] {
        let midpoint = f64::midpoint(target, 100.0);
        let Some(reading) = context.inputs.readings.get(metric) else { continue };
        let clock = memory.clocks.entry(clock.to_owned()).or_default();
        clock.advance(reading, context.now, |value| value > midpoint);
        let Some(percent) = reading.fresh(context.now).map(|point| point.value).filter(|value| *value > midpoint)
        else {
            continue;
        };
        let for_long = clock.held().is_some_and(|held| held >= SATURATED_FOR);
        let worse = found
            .as_ref()
            .is_none_or(|other| (for_long, percent / midpoint) > (other.for_long, other.percent / other.midpoint));
        if worse {
            found = Some(Saturated { name, percent, midpoint, for_long });
        }
    }
    found
}
