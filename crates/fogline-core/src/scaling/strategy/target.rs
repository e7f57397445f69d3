//! The target strategy: `desired = ceil(ready · metric / target)`.
//!
//! The formula, the treatment of replicas without a sample, and the tolerance (a step of the arbiter) are those of the
//! Kubernetes documentation, "Horizontal Pod Autoscaling", section "Algorithm details". The panic window is Knative's
//! ("Configuring stable and panic windows" of its documentation). Must never go below what a panic has asked for while
//! it lasts. Tests: `tests/it/scaling/hpa.rs`, `scripts/panic.txt`.

use super::{Context, ceil, moment};
use crate::scaling::policy::{Span, TargetSpec, TargetType};
use crate::scaling::sample::Coverage;
use crate::scaling::state::{Panic, PolicyMemory, PolicyRecent};
use crate::scaling::vote::{Ballot, StrategyKind, Vote};

/// The vote for one metric.
pub(super) fn vote(
    context: &Context<'_>,
    spec: &TargetSpec,
    memory: &mut PolicyMemory,
    recent: &mut PolicyRecent,
) -> Vote {
    let mut vote = Vote::new(context.policy.id(), StrategyKind::Target, "");
    vote.metric = Some(spec.metric.clone());
    vote.external = context.is_external(&spec.metric);
    let panicking = memory.panics.get(&spec.metric).filter(|panic| context.now < panic.until).copied();
    if panicking.is_none() {
        memory.panics.remove(&spec.metric);
    }
    let Some(point) = context.inputs.readings.get(&spec.metric).and_then(|reading| reading.fresh(context.now)) else {
        return Vote { why: context.lacking(&spec.metric), ..vote }.without_data();
    };
    if !spec.has_panic_window() {
        return tracked(context, spec, point.value, vote);
    }
    let reading = &context.inputs.readings[&spec.metric];
    let window = recent.points.entry(spec.metric.clone()).or_default();
    window.advance(reading, context.now, spec.stable_window.0);
    let stable = window.mean(context.now, spec.stable_window.0).unwrap_or(point.value);
    let short = window.mean(context.now, spec.panic_window()).unwrap_or(point.value);
    let vote = tracked(context, spec, stable, vote);
    panic(context, spec, short, vote, memory)
}

/// The vote for a value that is compared with the target.
fn tracked(context: &Context<'_>, spec: &TargetSpec, value: f64, vote: Vote) -> Vote {
    let replicas = context.inputs.replicas;
    let shown = context.shown(value);
    let coverage = context.inputs.readings.get(&spec.metric).and_then(|reading| reading.coverage);
    let (ratio, desired) = match (spec.kind(), coverage) {
        (TargetType::AverageValue, _) => {
            let ratio = value / (spec.target * f64::from(replicas.current.max(1)));
            (ratio, ceil(value / spec.target))
        }
        (TargetType::Value, None) => {
            let ratio = value / spec.target;
            (ratio, ceil(f64::from(replicas.ready) * ratio))
        }
        (TargetType::Value, Some(coverage)) => match covered(value / spec.target, coverage, replicas.current) {
            Covered::Desired { ratio, desired } => (ratio, desired),
            Covered::Turns => {
                let why = format!(
                    "{} is {shown}, target {}, but replicas that are not heard of could turn that round ({} without a \
                     sample, {} not ready yet)",
                    spec.metric, spec.target, coverage.missing, coverage.not_ready
                );
                return Vote { why, ..vote }.holding();
            }
        },
    };
    let against = (ratio > 1.0 && desired < replicas.current) || (ratio < 1.0 && desired > replicas.current);
    if spec.kind() == TargetType::Value && against {
        let why = format!(
            "{} is {shown}, target {}, but only {} of {} replicas are ready",
            spec.metric, spec.target, replicas.ready, replicas.current
        );
        return Vote { why, ..vote }.holding();
    }
    if spec.kind() == TargetType::Value && replicas.ready == 0 {
        return Vote { why: format!("{} is {shown}, but no replica is ready", spec.metric), ..vote }.holding();
    }
    let share = match spec.kind() {
        TargetType::Value => "",
        TargetType::AverageValue => " a replica",
    };
    let why = format!("{} is {shown}, target {}{share}", spec.metric, spec.target);
    Vote { why, ratio: Some(ratio), ..vote }.wanting(desired, replicas.current)
}

enum Covered {
    Desired { ratio: f64, desired: u32 },
    Turns,
}

/// Replicas without a sample count as 100 % of the target on the way down and as 0 on the way up, those that are not
/// ready yet as 0 on the way up.
fn covered(ratio: f64, coverage: Coverage, current: u32) -> Covered {
    let Coverage { sampled, missing, not_ready } = coverage;
    let (sum, mut counted) = (ratio * f64::from(sampled), sampled);
    let mut filled = sum;
    if missing > 0 {
        counted += missing;
        if ratio <= 1.0 {
            filled += f64::from(missing);
        }
    }
    if ratio > 1.0 {
        counted += not_ready;
    }
    if counted == 0 {
        return Covered::Turns;
    }
    let whole = filled / f64::from(counted);
    if (ratio < 1.0 && whole > 1.0) || (ratio > 1.0 && whole < 1.0) {
        return Covered::Turns;
    }
    let desired = ceil(filled);
    // What was filled in must not reverse the direction against the present count either.
    if (whole < 1.0 && desired > current) || (whole > 1.0 && desired < current) {
        return Covered::Desired { ratio: whole, desired: current };
    }
    Covered::Desired { ratio: whole, desired }
}

/// Acts at once when the short window asks for twice what is ready, and does not go down while that lasts.
fn panic(context: &Context<'_>, spec: &TargetSpec, short: f64, vote: Vote, memory: &mut PolicyMemory) -> Vote {
    let replicas = context.inputs.replicas;
    let wanted = match spec.kind() {
        TargetType::AverageValue => ceil(short / spec.target),
        TargetType::Value => ceil(f64::from(replicas.ready) * short / spec.target),
    };
    let percent = f64::from(wanted) / f64::from(replicas.ready.max(1)) * 100.0;
    let before = memory.panics.get(&spec.metric).copied();
    if percent >= spec.panic_threshold_percentage {
        let highest = before.map_or(wanted, |panic| panic.highest.max(wanted));
        let until = context.now.plus(spec.stable_window.0);
        memory.panics.insert(spec.metric.clone(), Panic { until, highest });
    }
    let Some(panic) = memory.panics.get(&spec.metric).copied() else { return vote };
    let desired = panic.highest.max(wanted).max(replicas.current);
    let why = if percent >= spec.panic_threshold_percentage {
        format!(
            "panic: {} was {} in the last {}, {} % of ready capacity or more",
            spec.metric,
            context.shown(short),
            Span(spec.panic_window()),
            spec.panic_threshold_percentage
        )
    } else {
        format!("panic until {}: {} asked for {}", moment(panic.until), spec.metric, panic.highest)
    };
    let up = if desired > replicas.current { Ballot::Count(desired) } else { Ballot::Hold };
    Vote { why, ratio: None, urgent: true, up, down: Ballot::Hold, ..vote }
}
