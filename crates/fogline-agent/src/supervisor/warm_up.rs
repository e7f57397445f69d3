//! What one run of a replica has to do between its first passed check and being ready.
//!
//! Decides when it is ordered and when it counts as failed; never does it. Invariant: it is ordered once a run, and of a
//! run that was ready before, as the one that an agent adopts, not at all. Tests: below, `tests/it/supervisor/warm_up.rs`.

use fogline_core::spec::WarmUpSpec;

use super::readiness::Past;

/// How much longer than its time-out its end is waited for: a command that is killed leaves within that.
const ANSWER_SLACK_US: u64 = 5_000_000;
const SECOND_US: u64 = 1_000_000;

/// The warm-up of one run.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum WarmUp {
    /// There is none, or it is done.
    Done,
    /// To be ordered as soon as the check passes. Boxed, because few replicas have one, and not for long.
    Due(Box<WarmUpSpec>),
    /// Ordered. Its end is told until then, or never.
    Ordered { answer_by_us: u64 },
    /// It has failed.
    Failed(String),
}

impl WarmUp {
    /// Of a run that has just started, or that was adopted.
    pub fn new(spec: Option<&WarmUpSpec>, past: Past) -> Self {
        match (spec, past) {
            (Some(spec), Past::New) => Self::Due(Box::new(spec.clone())),
            (None, _) | (Some(_), Past::WasReady | Past::Ready) => Self::Done,
        }
    }

    /// Whether nothing is left to do.
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// What is to be done now that the check has passed, unless it was ordered before.
    pub fn order(&mut self, now_us: u64) -> Option<(WarmUpSpec, u64)> {
        let Self::Due(spec) = self else { return None };
        let (spec, timeout_us) = (WarmUpSpec::clone(spec), u64::from(spec.timeout_s.max(1)) * SECOND_US);
        *self = Self::Ordered { answer_by_us: now_us.saturating_add(timeout_us + ANSWER_SLACK_US) };
        Some((spec, timeout_us))
    }

    /// Takes its end. One that was not ordered changes nothing.
    pub fn end(&mut self, result: Result<(), String>) {
        if matches!(self, Self::Ordered { .. }) {
            *self = result.map_or_else(Self::Failed, |()| Self::Done);
        }
    }

    /// Why it has failed, where it has.
    pub fn failure(&self, now_us: u64) -> Option<&str> {
        match self {
            Self::Failed(why) => Some(why),
            Self::Ordered { answer_by_us } if now_us >= *answer_by_us => Some("nothing was heard of its end"),
            Self::Done | Self::Due(_) | Self::Ordered { .. } => None,
        }
    }

    /// When it counts as failed, if nothing is heard of it.
    pub const fn due_us(&self) -> Option<u64> {
        match self {
            Self::Ordered { answer_by_us } => Some(*answer_by_us),
            Self::Done | Self::Due(_) | Self::Failed(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> WarmUpSpec {
        WarmUpSpec { path: Some("/warm".to_owned()), command: Vec::new(), times: 1, timeout_s: 30 }
    }

    #[test]
    fn it_is_ordered_once_and_its_end_is_not_waited_for_without_end() {
        let mut warm_up = WarmUp::new(Some(&spec()), Past::New);
        assert_eq!(warm_up.due_us(), None);
        assert_eq!(warm_up.order(7), Some((spec(), 30_000_000)));
        assert_eq!(warm_up.order(8), None);
        assert_eq!(warm_up.due_us(), Some(35_000_007));
        assert_eq!(warm_up.failure(35_000_006), None);
        assert!(warm_up.failure(35_000_007).is_some());
    }

    #[test]
    fn what_was_ready_before_is_warm() {
        for past in [Past::Ready, Past::WasReady] {
            assert!(WarmUp::new(Some(&spec()), past).is_done());
        }
        assert!(WarmUp::new(None, Past::New).is_done());
    }
}
