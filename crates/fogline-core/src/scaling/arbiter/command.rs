//! Step 3: what sets the count without being voted on. A person, a time of day, a request that waits at zero.
//!
//! A command skips merge and steps 4 to 7, passes cap and bounds, and starts the stabilization windows over at the new
//! count. Of several at once the person's counts, then the schedule's, which wakes up as well, then the wake-up.

use super::collect::Collected;
use super::limits::Limits;
use crate::scaling::inputs::{Inputs, Trigger};
use crate::scaling::state::{Memory, Override};
use crate::scaling::strategy::idle::Idleness;
use crate::scaling::strategy::moment;
use crate::time::Timestamp;

/// A count that is set.
pub(crate) struct Command {
    pub replicas: u32,
    pub trigger: Trigger,
    pub why: String,
    /// Set at this moment, rather than held from before.
    pub is_new: bool,
    /// A wake-up neither obeys nor starts a cooldown.
    pub starts_cooldown: bool,
}

/// Finds the command that counts now, and keeps what a person set.
pub(crate) fn find(
    inputs: &Inputs,
    collected: &Collected,
    limits: &Limits,
    memory: &mut Memory,
    now: Timestamp,
) -> Option<Command> {
    if let Some(manual) = &inputs.manual {
        let until = manual.until.unwrap_or_else(|| now.plus(limits.up_cooldown.max(limits.down_cooldown)));
        memory.held = Some(Override {
            replicas: manual.replicas,
            by: manual.by.clone(),
            trigger: manual.trigger,
            since: now,
            until,
        });
        return Some(Command {
            replicas: manual.replicas,
            trigger: manual.trigger,
            why: words(manual.replicas, &manual.by, until, now),
            is_new: true,
            starts_cooldown: true,
        });
    }
    if memory.held.as_ref().is_some_and(|held| now >= held.until) {
        memory.held = None;
    }
    if let Some(held) = &memory.held {
        return Some(Command {
            replicas: held.replicas,
            trigger: Trigger::Auto,
            why: words(held.replicas, &held.by, held.until, now),
            is_new: false,
            starts_cooldown: true,
        });
    }
    if let Some(fired) = &collected.fired {
        return Some(Command {
            replicas: fired.desired,
            trigger: Trigger::Schedule,
            why: fired.why.clone(),
            is_new: true,
            starts_cooldown: true,
        });
    }
    let Idleness::Wake { by_request, why } = &collected.idleness else { return None };
    Some(Command {
        replicas: limits.min.max(1),
        trigger: if *by_request { Trigger::Proxy } else { Trigger::Auto },
        why: format!("woken up: {why}"),
        is_new: true,
        starts_cooldown: false,
    })
}

fn words(replicas: u32, by: &str, until: Timestamp, now: Timestamp) -> String {
    let held = if until > now { format!(", held until {}", moment(until)) } else { String::new() };
    format!("set to {replicas} by {by}{held}")
}
