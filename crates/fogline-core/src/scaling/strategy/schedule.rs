//! The schedule strategy: a count at a time of day, once, or bounds while a window is open.
//!
//! Decides which fire time is due and which window is open. A fire time is handled once: its cursor moves with it. One
//! that was missed by less than `catch_up` is caught up, once; one that was missed by more is told and left.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Context;
use super::cron::CronSchedule;
use super::moment;
use crate::scaling::decision::Event;
use crate::scaling::policy::{Policy, ScheduleSpec, WindowMode};
use crate::scaling::state::{CronCursor, PolicyMemory};
use crate::scaling::vote::{Ballot, StrategyKind, Vote};
use crate::time::Timestamp;

/// How late a fire time may be handled before the record calls it caught up.
const PUNCTUAL: Duration = Duration::from_secs(60);

/// A fire time that is due. Field order is what decides between two: the higher wins.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Fired {
    pub priority: i32,
    pub at: Timestamp,
    pub desired: u32,
    pub why: String,
}

/// A window that is open. Field order is what decides between two: the higher wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct OpenWindow {
    pub priority: i32,
    pub start: Timestamp,
    pub desired: u32,
    pub mode: WindowMode,
    pub end: Timestamp,
}

impl PartialOrd for WindowMode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WindowMode {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (*self as u8).cmp(&(*other as u8))
    }
}

/// What the schedules of one policy say.
#[derive(Debug, Default)]
pub(crate) struct Schedules {
    pub fired: Option<Fired>,
    pub window: Option<OpenWindow>,
    pub events: Vec<Event>,
}

/// Looks at every schedule of the policy, and moves the cursors.
pub(crate) fn look(context: &Context<'_>, memory: &mut PolicyMemory) -> Schedules {
    let now = context.now;
    let mut found = Schedules::default();
    let mut keys = Vec::with_capacity(context.policy.spec().schedules.len());
    for (spec, cron) in context.policy.schedules() {
        if let Some(duration) = spec.duration {
            found.window = found.window.max(open_window(spec, cron, duration.0, now));
            continue;
        }
        let key = format!("{} {} {}", spec.cron_expression, spec.timezone, spec.desired_replicas);
        let cursor = memory
            .schedules
            .entry(key.clone())
            // Times before the schedule was there are not missed.
            .or_insert_with(|| CronCursor { handled: now, next: cron.next_after(now) });
        keys.push(key);
        if cursor.next.is_none_or(|next| next > now) {
            continue;
        }
        let due = cron.last_until(now).filter(|due| *due > cursor.handled);
        *cursor = CronCursor { handled: now, next: cron.next_after(now) };
        let Some(due) = due else { continue };
        let late = now.since(due);
        if late > PUNCTUAL && late >= spec.catch_up.0 {
            let cron_expression = spec.cron_expression.clone();
            found.events.push(Event::ScheduleMissed { cron_expression, at: due });
            continue;
        }
        let caught_up = if late > PUNCTUAL { format!(", caught up for {}", moment(due)) } else { String::new() };
        let why = format!("schedule {:?} in {}{caught_up}", spec.cron_expression, spec.timezone);
        let fired = Fired { priority: spec.priority, at: due, desired: spec.desired_replicas, why };
        found.fired = found.fired.max(Some(fired));
    }
    memory.schedules.retain(|key, _| keys.contains(key));
    found
}

fn open_window(spec: &ScheduleSpec, cron: &CronSchedule, duration: Duration, now: Timestamp) -> Option<OpenWindow> {
    let start = cron.last_until(now)?;
    let end = start.plus(duration);
    (now < end).then_some(OpenWindow {
        priority: spec.priority,
        start,
        desired: spec.desired_replicas,
        mode: spec.mode,
        end,
    })
}

/// The vote that goes with what was found. A floor is never a reason to go down, a ceiling none to go up.
pub(crate) fn vote(context: &Context<'_>, found: &Schedules) -> Vote {
    let current = context.inputs.replicas.current;
    let vote = Vote::new(context.policy.id(), StrategyKind::Schedule, "no window is open");
    let Some(OpenWindow { desired, mode, end, .. }) = found.window else { return vote };
    let why = format!("the window until {} wants {} {desired}", moment(end), words(mode));
    let wanted = Vote { why, ..vote }.wanting(desired, current);
    match mode {
        WindowMode::Exact => wanted,
        WindowMode::Min => Vote { down: Ballot::Abstain, ..wanted },
        WindowMode::Max => Vote { up: Ballot::Abstain, ..wanted },
    }
}

/// The mode in words.
pub(crate) const fn words(mode: WindowMode) -> &'static str {
    match mode {
        WindowMode::Min => "at least",
        WindowMode::Max => "at most",
        WindowMode::Exact => "exactly",
    }
}

/// What happens at a transition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransitionKind {
    /// The count is set once.
    Set,
    /// A window opens.
    Open,
    /// A window closes.
    Close,
}

/// A moment at which a schedule does something.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: TransitionKind,
    /// The count, before the bounds.
    pub desired_replicas: u32,
    /// The expression that says so.
    pub cron_expression: String,
    /// Its time zone.
    pub timezone: String,
}

/// The next `count` transitions of a policy's schedules, soonest first; 1,000 are the most.
#[must_use]
pub fn preview(policy: &Policy, now: Timestamp, count: usize) -> Vec<Transition> {
    let count = count.min(1_000);
    let mut found = Vec::new();
    for (spec, cron) in policy.schedules() {
        let transition = |at, kind| Transition {
            at,
            kind,
            desired_replicas: spec.desired_replicas,
            cron_expression: spec.cron_expression.clone(),
            timezone: spec.timezone.clone(),
        };
        if let Some(open) = spec.duration.and_then(|duration| open_window(spec, cron, duration.0, now)) {
            found.push(transition(open.end, TransitionKind::Close));
        }
        let mut from = now;
        for _ in 0..count {
            let Some(at) = cron.next_after(from) else { break };
            from = at;
            match spec.duration {
                None => found.push(transition(at, TransitionKind::Set)),
                Some(duration) => {
                    found.push(transition(at, TransitionKind::Open));
                    // One that opens again before it has closed stays open.
                    if cron.next_after(at).is_none_or(|next| next > at.plus(duration.0)) {
                        found.push(transition(at.plus(duration.0), TransitionKind::Close));
                    }
                }
            }
        }
    }
    found.sort();
    found.truncate(count);
    found
}
