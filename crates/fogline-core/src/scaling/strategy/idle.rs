//! The idle strategy: to zero when nobody needs the target, and from zero when somebody does.
//!
//! Decides whether the target is idle, asleep or to be woken. Must never call a target idle of which nothing is known:
//! without the proxy's signal and without an activation metric there is no idleness. Invariant: while a request is open
//! or held the target is not idle, whatever a metric says. Tests: `tests/it/scaling/scripts/idle.txt`.

use std::time::Duration;

use super::Context;
use super::expected::{self, Expected};
use crate::scaling::policy::Span;
use crate::scaling::state::PolicyMemory;

/// Age from which on the proxy's signal says nothing.
const PROXY_STALE_AFTER: Duration = Duration::from_secs(60);

/// What idleness says of a target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Idleness {
    /// The policy does not let it sleep.
    NotAsked,
    /// It is needed, or has been lately.
    Needed(String),
    /// It has not been needed for the idle period.
    Idle(String),
    /// It cannot be said.
    NoData(String),
    /// It sleeps and is needed: by a request that waits, by an activation metric, or by what is known to come.
    Wake { by_request: bool, why: String },
}

/// Looks at the proxy and the activation metrics, and moves their clocks.
pub(crate) fn look(context: &Context<'_>, memory: &mut PolicyMemory) -> Idleness {
    let spec = context.policy.spec();
    if !spec.scale_to_zero {
        return Idleness::NotAsked;
    }
    let (now, period) = (context.now, spec.idle.idle_period.0);
    let asleep = context.inputs.replicas.current == 0;
    let (mut quiet, mut needed, mut unknown) = (Vec::new(), None, None);
    if let Some(proxy) = context.inputs.proxy {
        if proxy.is_busy() {
            let why = format!("{} open and {} held requests", proxy.open, proxy.held);
            if asleep {
                return Idleness::Wake { by_request: true, why };
            }
            needed = Some(why);
        } else if now.since(proxy.at) > PROXY_STALE_AFTER {
            unknown = Some("the proxy has not been heard".to_owned());
        } else if now.since(proxy.quiet_since) >= period {
            quiet.push(format!("no request for {}", Span(period)));
        } else {
            needed = Some("there were requests lately".to_owned());
        }
    }
    for one in &spec.idle.activation {
        let Some(reading) = context.inputs.readings.get(&one.metric) else {
            unknown = Some(format!("{} is missing", one.metric));
            continue;
        };
        if reading.not_applicable {
            unknown = Some(format!("nobody measures {} of a target without a route", one.metric));
            continue;
        }
        let clock = memory.clocks.entry(key(&one.metric, one.activation)).or_default();
        clock.advance(reading, now, |value| value <= one.activation);
        let Some(point) = reading.fresh(now) else {
            unknown = Some(context.lacking(&one.metric));
            continue;
        };
        if point.value > one.activation {
            let why = format!("{} is {}, above {}", one.metric, context.shown(point.value), one.activation);
            if asleep {
                return Idleness::Wake { by_request: false, why };
            }
            needed = Some(why);
        } else if clock.held().is_some_and(|held| held >= period) {
            quiet.push(format!("{} at most {} for {}", one.metric, one.activation, Span(period)));
        } else {
            needed.get_or_insert(format!("{} was above {} lately", one.metric, one.activation));
        }
    }
    match expected::look(context) {
        Expected::Soon(why) if asleep => return Idleness::Wake { by_request: false, why },
        Expected::Soon(why) | Expected::Lately(why) => _ = needed.get_or_insert(why),
        Expected::Nothing => {}
    }
    match (needed, unknown) {
        (Some(why), _) => Idleness::Needed(why),
        (None, Some(why)) => Idleness::NoData(why),
        (None, None) if quiet.is_empty() => Idleness::NoData("nothing tells whether it is idle".to_owned()),
        (None, None) => Idleness::Idle(quiet.join(" and ")),
    }
}

/// Under what the clock of an activation metric is kept.
pub(super) fn key(metric: &str, activation: f64) -> String {
    format!("idle {metric} ≤ {activation}")
}
