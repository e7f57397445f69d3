//! What is known to come though nothing asks for it yet: fire times, windows and forecasts.
//!
//! Decides what keeps a target awake, or wakes it, ahead of time (`idle.pre_wake`). Must never set the count that a
//! schedule or a forecast asks for: that is theirs, when it is time. Invariant: what a fire time has woken is not idle
//! before the idle period is over. Tests: `tests/it/scaling/scripts/pre_wake.txt`.

use std::time::Duration;

use super::{Context, moment};
use crate::scaling::policy::WindowMode;

/// What is expected of a target.
pub(super) enum Expected {
    /// Nothing that counts.
    Nothing,
    /// It was asked for lately: reason enough to stay awake, none to wake up.
    Lately(String),
    /// It is asked for soon.
    Soon(String),
}

/// Looks at the schedules and the forecast of one policy.
pub(super) fn look(context: &Context<'_>) -> Expected {
    let idle = &context.policy.spec().idle;
    if !idle.pre_wake.0.is_zero() {
        let ahead = idle.pre_wake.0 + context.inputs.start_time.unwrap_or_default();
        if let Some(why) = scheduled(context, ahead).or_else(|| forecast(context, ahead)) {
            return Expected::Soon(why);
        }
    }
    match fired_lately(context, idle.idle_period.0) {
        Some(why) => Expected::Lately(why),
        None => Expected::Nothing,
    }
}

/// The next time at which a schedule asks for replicas, where it is near.
fn scheduled(context: &Context<'_>, ahead: Duration) -> Option<String> {
    let asks = context.policy.schedules().filter(|(spec, _)| spec.duration.is_none() || spec.mode != WindowMode::Max);
    let next = asks.filter_map(|(spec, cron)| Some((cron.next_after(context.now)?, spec)));
    let (at, spec) = next.filter(|(at, _)| *at <= context.now.plus(ahead)).min_by_key(|(at, _)| *at)?;
    Some(format!("schedule {:?} in {} is due at {}", spec.cron_expression, spec.timezone, moment(at)))
}

/// The last fire time that set a count, where it is near.
fn fired_lately(context: &Context<'_>, period: Duration) -> Option<String> {
    let sets = context.policy.schedules().filter(|(spec, _)| spec.duration.is_none());
    let last = sets.filter_map(|(_, cron)| cron.last_until(context.now)).max()?;
    (context.now.since(last) < period).then(|| format!("a schedule set its count at {}", moment(last)))
}

/// A load that is worth a replica, where the forecast can be relied on.
fn forecast(context: &Context<'_>, ahead: Duration) -> Option<String> {
    let spec = context.policy.spec().forecast.as_ref()?;
    let model = context.inputs.forecasts.get(&context.policy.id())?.as_ref().ok()?;
    let load = model.largest(context.now, ahead).filter(|load| *load >= spec.target)?;
    (model.error_percent() <= spec.max_error)
        .then(|| format!("{} is expected to be {}", spec.metric, context.shown(load)))
}
