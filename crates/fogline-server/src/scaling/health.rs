//! How the engine is: what `/readyz` and people are told.

use std::time::Duration;

use fogline_core::time::Timestamp;

/// The engine of this term, as it is now.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct ScalerHealth {
    /// Whether its loop runs.
    pub running: bool,
    /// How often each target is evaluated.
    pub interval: Duration,
    /// When the engine was started.
    pub began: Timestamp,
    /// When the last whole round ended; nothing before the first.
    pub last_round: Option<Timestamp>,
    /// How long after it was due the last target of that round was evaluated.
    pub lag: Duration,
    /// Targets with an enabled policy.
    pub targets: usize,
    /// Questions that are asked of metric sources.
    pub sources: usize,
    /// Those of them whose last answer was none.
    pub failing_sources: usize,
}

impl ScalerHealth {
    /// Whether rounds come as they should: the last one, or the start, is not older than three intervals and a while.
    #[must_use]
    pub(crate) fn is_well(&self, now: Timestamp) -> bool {
        let patience = self.interval * 3 + Duration::from_secs(10);
        self.running && now.since(self.last_round.unwrap_or(self.began)) <= patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_never_ends_a_round_is_not_well_for_long() {
        let began = Timestamp::from_micros(1_800_000_000_000_000);
        let later = |seconds| began.plus(Duration::from_secs(seconds));
        let health = ScalerHealth { running: true, interval: Duration::from_secs(5), began, ..ScalerHealth::default() };
        assert!(health.is_well(later(25)));
        assert!(!health.is_well(later(26)));
        let health = ScalerHealth { last_round: Some(later(26)), ..health };
        assert!(health.is_well(later(51)) && !health.is_well(later(52)));
    }
}
