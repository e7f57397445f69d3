//! What an evaluation hands to the next one.
//!
//! Two parts. [`Memory`] is what must survive a restart or a fail-over: only transitions change it, so it is small and
//! seldom written. [`Recent`] is what a process keeps and may lose. Invariant: after [`State::resumed`] nothing acts
//! earlier than the old process would have. Tests: `tests/it/scaling/restart.rs`, `properties.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::inputs::Trigger;
use super::window::{HoldClock, PointWindow, RecommendationWindow};
use crate::id::PolicyId;
use crate::time::Timestamp;

/// A count that was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// From so many.
    pub from: u32,
    /// To so many.
    pub to: u32,
}

/// A count that a person set, and that holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Override {
    /// The count.
    pub replicas: u32,
    /// Who set it.
    pub by: String,
    /// `manual` or `admin`.
    pub trigger: Trigger,
    /// Since when.
    pub since: Timestamp,
    /// Until when it holds.
    pub until: Timestamp,
}

/// How far a schedule's fire times have been handled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CronCursor {
    /// Every fire time up to here has been handled.
    pub handled: Timestamp,
    /// The next one after it; nothing where there is none.
    pub next: Option<Timestamp>,
}

/// A panic window that is acting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Panic {
    /// Until when it lasts, unless it is prolonged.
    pub until: Timestamp,
    /// The most replicas it asked for; it does not go below.
    pub highest: u32,
}

/// What is kept for one policy.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct PolicyMemory {
    /// Since when conditions hold, by what they say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clocks: BTreeMap<String, HoldClock>,
    /// Cursors of the schedules, by what they say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<String, CronCursor>,
    /// Panics that last, by metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub panics: BTreeMap<String, Panic>,
    /// Until when the policy does not vote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Timestamp>,
}

/// What is put back should the change that an executor has been asked for not come about.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as the fields of `Memory`")]
pub struct Undo {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_up: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Override>,
    /// By policy: a fire time that came to nothing is caught up.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<PolicyId, BTreeMap<String, CronCursor>>,
}

/// What must survive.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    /// By policy.
    #[serde(default)]
    pub policies: BTreeMap<PolicyId, PolicyMemory>,
    /// The last scale-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_up: Option<Timestamp>,
    /// The last change of either kind. A wake-up is in neither: it starts no cooldown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change: Option<Timestamp>,
    /// Changes that a rate still counts, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// What a person set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Override>,
    /// While a decision waits for its executor; an evaluation is not shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Box<Undo>>,
}

/// What a process keeps and may lose, for one policy.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct PolicyRecent {
    /// Last points, by metric.
    #[serde(default)]
    pub points: BTreeMap<String, PointWindow>,
    /// Evaluations in a row without data, by what was asked.
    #[serde(default)]
    pub failures: BTreeMap<String, u32>,
}

/// What a process keeps and may lose.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Recent {
    /// By policy.
    #[serde(default)]
    pub policies: BTreeMap<PolicyId, PolicyRecent>,
    /// Raw recommendations.
    #[serde(default)]
    pub recommendations: RecommendationWindow,
}

/// All that one target's arbiter remembers.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// What must survive.
    pub memory: Memory,
    /// What may be lost.
    #[serde(default)]
    pub recent: Recent,
}

impl State {
    /// The state after a restart, a fail-over, or a first start: the stabilization windows count as full at the
    /// present count.
    #[must_use]
    pub fn resumed(memory: Memory, current: u32, now: Timestamp) -> Self {
        let recommendations = RecommendationWindow::full(current, now);
        Self { memory, recent: Recent { recommendations, ..Recent::default() } }
    }

    /// This state where its change did not happen, because the executor failed: what was seen stays, what was done is
    /// as in `before`, and what was due is still due.
    #[must_use]
    pub fn without_change(mut self, before: &Self) -> Self {
        self.memory.last_up = before.memory.last_up;
        self.memory.last_change = before.memory.last_change;
        self.memory.changes.clone_from(&before.memory.changes);
        self.memory = self.memory.with_cursors_of(&before.memory);
        self
    }

    /// Notes a change. A wake-up starts no cooldown.
    pub(super) fn note_change(&mut self, change: Change, starts_cooldown: bool, keep: Duration) {
        let memory = &mut self.memory;
        memory.changes.retain(|old| change.at.since(old.at) < keep);
        memory.changes.push(change);
        if starts_cooldown {
            memory.last_change = Some(change.at);
            if change.to > change.from {
                memory.last_up = Some(change.at);
            }
        }
    }
}

impl Memory {
    /// Until when a policy neither votes nor bounds, where it is paused.
    #[must_use]
    pub fn paused(&self, policy: PolicyId, now: Timestamp) -> Option<Timestamp> {
        self.policies.get(&policy)?.paused_until.filter(|until| now < *until)
    }

    /// Forgets what was kept for policies other than these, but for pauses that last.
    pub fn keep_only(&mut self, these: impl Fn(&PolicyId) -> bool, now: Timestamp) {
        self.policies.retain(|id, kept| {
            if these(id) {
                return true;
            }
            let paused_until = kept.paused_until.filter(|until| now < *until);
            *kept = PolicyMemory { paused_until, ..PolicyMemory::default() };
            paused_until.is_some()
        });
    }

    /// What undoes a change that was made since.
    #[must_use]
    pub fn undo(&self) -> Undo {
        let Self { last_up, last_change, ref changes, ref held, .. } = *self;
        let schedules = self.policies.iter().map(|(id, policy)| (*id, policy.schedules.clone())).collect();
        Undo { last_up, last_change, changes: changes.clone(), held: held.clone(), schedules }
    }

    /// This memory with the cursors of schedules as they are in `other`.
    #[must_use]
    pub fn with_cursors_of(mut self, other: &Self) -> Self {
        for (id, policy) in &mut self.policies {
            if let Some(other) = other.policies.get(id) {
                policy.schedules.clone_from(&other.schedules);
            }
        }
        self
    }

    /// This memory where the change that is waited for did not come about.
    #[must_use]
    pub fn undone(self) -> Self {
        match self.undo {
            Some(undo) => {
                let Undo { last_up, last_change, changes, held, mut schedules } = *undo;
                let mut policies = self.policies;
                for (id, policy) in &mut policies {
                    if let Some(before) = schedules.remove(id) {
                        policy.schedules = before;
                    }
                }
                Self { policies, last_up, last_change, changes, held, undo: None }
            }
            None => self,
        }
    }

    /// Whether something changed since `before` that must survive. The moment of the last sample is no transition: the
    /// sample store has it.
    #[must_use]
    pub fn needs_commit(&self, before: &Self) -> bool {
        let same = |now: &PolicyMemory, then: &PolicyMemory| {
            now.schedules == then.schedules
                && same_panics(now, then)
                && now.paused_until == then.paused_until
                && now.clocks.len() == then.clocks.len()
                && now.clocks.iter().all(|(key, clock)| {
                    then.clocks.get(key).is_some_and(|then| then.holding_since == clock.holding_since)
                })
        };
        self.last_up != before.last_up
            || self.last_change != before.last_change
            || self.changes.last() != before.changes.last()
            || self.held != before.held
            || self.policies.len() != before.policies.len()
            || self.policies.iter().any(|(id, now)| before.policies.get(id).is_none_or(|then| !same(now, then)))
    }
}

/// A panic that goes on moves its end with every evaluation; that it has moved a little is no transition.
fn same_panics(now: &PolicyMemory, then: &PolicyMemory) -> bool {
    const A_LITTLE: Duration = Duration::from_secs(15);
    now.panics.len() == then.panics.len()
        && now.panics.iter().all(|(metric, panic)| {
            then.panics
                .get(metric)
                .is_some_and(|then| panic.highest == then.highest && panic.until.since(then.until) < A_LITTLE)
        })
}
