//! The decision record: one for every evaluation, "hold" included.
//!
//! Invariant: it explains itself. Every input with source, value and age; every vote; every step with the count before
//! and after; and one sentence in words.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::inputs::{Run, Trigger};
use super::sample::{Reading, Sample, Source};
use super::vote::Vote;
use crate::id::PolicyId;
use crate::time::Timestamp;

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// More replicas.
    ScaleUp,
    /// Fewer.
    ScaleDown,
    /// Nothing.
    Hold,
}

impl Action {
    /// The name in records and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ScaleUp => "scale_up",
            Self::ScaleDown => "scale_down",
            Self::Hold => "hold",
        }
    }

    /// What it takes to get from one count to another.
    #[must_use]
    pub fn between(from: u32, to: u32) -> Self {
        match to.cmp(&from) {
            std::cmp::Ordering::Greater => Self::ScaleUp,
            std::cmp::Ordering::Less => Self::ScaleDown,
            std::cmp::Ordering::Equal => Self::Hold,
        }
    }
}

/// What every reason begins with: what is done, in words. What follows is `: ` and why, where anything is said of that.
pub(crate) fn headline(from: u32, to: u32) -> String {
    match Action::between(from, to) {
        Action::ScaleUp => format!("scaled up from {from} to {to}"),
        Action::ScaleDown => format!("scaled down from {from} to {to}"),
        Action::Hold => format!("held at {to}"),
    }
}

/// The arbiter's steps, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// The votes of all policies.
    Collect,
    /// One count from all votes.
    Merge,
    /// What a person, a schedule or a wake-up sets.
    Override,
    /// Too small a difference.
    Tolerance,
    /// The recommendations of the last while.
    Stabilization,
    /// How much in a period.
    Rate,
    /// How soon after the last change.
    Cooldown,
    /// Never up for a release that fails.
    FailingRelease,
    /// How many may be stopped in a minute.
    MaxTerminations,
    /// What the cost cap pays for.
    CostCap,
    /// `min_replicas` and `max_replicas`, and zero.
    Bounds,
}

impl StepName {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collect => "collect",
            Self::Merge => "merge",
            Self::Override => "override",
            Self::Tolerance => "tolerance",
            Self::Stabilization => "stabilization",
            Self::Rate => "rate",
            Self::Cooldown => "cooldown",
            Self::FailingRelease => "failing_release",
            Self::MaxTerminations => "max_terminations",
            Self::CostCap => "cost_cap",
            Self::Bounds => "bounds",
        }
    }
}

/// One step of the arbiter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// Which.
    pub name: StepName,
    /// The count before it.
    pub before: u32,
    /// The count after it.
    pub after: u32,
    /// Why, as a clause; empty where it had nothing to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// One input, as it was seen.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct InputRecord {
    /// Name of the metric.
    pub metric: String,
    /// From where; nothing where no source was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// `value`, `missing`, `stale`, `error` or `not_applicable`.
    pub outcome: String,
    /// The value, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Its age in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_s: Option<f64>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sample of the same name that was outranked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub outranked: Option<Box<InputRecord>>,
}

impl InputRecord {
    /// How `reading` looks at `now`.
    #[must_use]
    pub fn of(metric: &str, reading: Option<&Reading>, now: Timestamp) -> Self {
        let mut record = Self {
            metric: metric.to_owned(),
            source: reading.map(|reading| reading.source),
            outcome: "missing".to_owned(),
            value: None,
            age_s: None,
            reason: None,
            outranked: None,
        };
        let Some(reading) = reading else {
            record.reason = Some("no source gave it".to_owned());
            return record;
        };
        let (outcome, point) = match reading.judged(now) {
            Sample::Value { value, at } => {
                (if reading.not_applicable { "not_applicable" } else { "value" }, Some((value, at)))
            }
            Sample::Stale { value, at } => ("stale", Some((value, at))),
            Sample::Missing => ("missing", None),
            Sample::Error { reason } => {
                record.reason = Some(reason);
                ("error", None)
            }
        };
        outcome.clone_into(&mut record.outcome);
        record.value = point.map(|(value, _)| value);
        record.age_s = point.map(|(_, at)| now.since(at).as_secs_f64());
        record.outranked = reading.outranked.as_deref().map(|other| Box::new(Self::of(metric, Some(other), now)));
        record
    }
}

/// Something that people should hear of beside the count.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// An external metric says zero while the proxy has requests.
    TrafficConflict {
        /// The metric.
        metric: String,
    },
    /// A fire time was missed by more than `catch_up`.
    ScheduleMissed {
        /// The expression.
        cron_expression: String,
        /// When it should have fired.
        at: Timestamp,
    },
    /// A declared fallback is used.
    Fallback {
        /// What has no data.
        subject: String,
        /// The count.
        replicas: u32,
    },
}

/// A policy that took part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyRef {
    /// Its id.
    pub id: PolicyId,
    /// Its name.
    pub name: String,
}

/// What is scaled, as the policies name it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TargetRef {
    /// `target_type` of the policy.
    pub target_type: String,
    /// `target_id` of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
}

/// What was decided, and everything that led there.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// Live, dry-run, shadow or backtest.
    pub run: Run,
    /// The target; nothing where no policy is enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetRef>,
    /// The policies on the target.
    pub policies: Vec<PolicyRef>,
    /// Who or what asked for it.
    pub trigger: Trigger,
    /// What is done.
    pub action: Action,
    /// The count before.
    pub current: u32,
    /// Replicas that served.
    pub ready: u32,
    /// The final count.
    pub replicas: u32,
    /// One sentence.
    pub reason: String,
    /// What was known.
    pub inputs: Vec<InputRecord>,
    /// What each strategy said.
    pub votes: Vec<Vote>,
    /// What the arbiter made of it.
    pub steps: Vec<Step>,
    /// What people should hear of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// A zero may only be applied while the proxy's sequence is still this one and no request is open or held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless_woken_after: Option<u64>,
}

impl Decision {
    /// The step of this name, where it was taken.
    #[must_use]
    pub fn step(&self, name: StepName) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// Why, without the count, which whoever asks has said already. Nothing where the count is all that was said.
    pub(crate) fn cause(&self) -> Option<&str> {
        match self.reason.strip_prefix(&headline(self.current, self.replicas)) {
            Some(rest) => rest.split_once(": ").map(|(_, cause)| cause),
            None => Some(&self.reason),
        }
    }

    /// Whether `other` came to the same for the same kind of reason. Figures in sentences differ every time; a row is
    /// written when this does.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        fn changing(decision: &Decision) -> impl Iterator<Item = (StepName, u32)> + '_ {
            decision.steps.iter().filter(|step| step.before != step.after).map(|step| (step.name, step.after))
        }
        fn ballots(decision: &Decision) -> impl Iterator<Item = (super::vote::Ballot, super::vote::Ballot)> + '_ {
            decision.votes.iter().map(|vote| (vote.up, vote.down))
        }
        (self.action, self.replicas, self.trigger, self.events.is_empty())
            == (other.action, other.replicas, other.trigger, other.events.is_empty())
            && changing(self).eq(changing(other))
            && ballots(self).eq(ballots(other))
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_what_follows_the_count() {
        for (current, replicas, reason, cause) in [
            (1, 2, "scaled up from 1 to 2: cpu 90: too much", Some("cpu 90: too much")),
            (3, 1, "scaled down from 3 to 1: idle", Some("idle")),
            (3, 3, "held at 3: no policy is enabled", Some("no policy is enabled")),
            (3, 3, "held at 3, wanted 9: at most 3", Some("at most 3")),
            (1, 2, "scaled up from 1 to 2", None),
            (3, 3, "held at 3, wanted 9", None),
            (1, 2, "set by ann: for the sale", Some("set by ann: for the sale")),
        ] {
            let decision: Decision = serde_json::from_value(serde_json::json!({
                "at": "2026-01-28T08:00:10Z", "run": "live", "policies": [], "trigger": "auto", "action": "hold",
                "current": current, "ready": current, "replicas": replicas, "reason": reason,
                "inputs": [], "votes": [], "steps": [],
            }))
            .expect("a decision");
            assert_eq!(decision.cause(), cause, "{reason}");
        }
    }
}
