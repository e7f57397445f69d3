//! What a strategy says to the arbiter.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::PolicyId;

/// The kinds of strategies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StrategyKind {
    /// Thresholds, as in SCALE-001.
    Rules,
    /// The composite score of the proxy.
    LoadScore,
    /// A metric that is kept near a value.
    Target,
    /// A time of day.
    Schedule,
    /// What was seen at this time in earlier seasons.
    Forecast,
    /// To and from zero.
    Idle,
}

impl StrategyKind {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::LoadScore => "load_score",
            Self::Target => "target",
            Self::Schedule => "schedule",
            Self::Forecast => "forecast",
            Self::Idle => "idle",
        }
    }
}

/// A vote for one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ballot {
    /// So many replicas.
    Count(u32),
    /// As many as there are.
    Hold,
    /// Nothing to say: no rules for the direction, no open window.
    Abstain,
    /// There should be something to say, but the data is missing.
    NoData,
}

/// A strategy's recommendation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Vote {
    /// Whose strategy.
    pub policy_id: PolicyId,
    /// Which one.
    pub strategy: StrategyKind,
    /// The metric, where a policy has several of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Up.
    pub up: Ballot,
    /// Down.
    pub down: Ballot,
    /// Below this nobody may go, whoever agrees. Forecasts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<u32>,
    /// How far the metric is from its target: 1.0 is there. Target tracking only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// A panic window: neither stabilization nor cooldown holds it up.
    #[serde(default)]
    pub urgent: bool,
    /// Whether it rests on a metric that somebody else measured.
    #[serde(default)]
    pub external: bool,
    /// Why, as a clause.
    pub why: String,
    /// Figures that make it up, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<(String, f64)>,
}

impl Vote {
    /// A vote that says nothing yet.
    pub(super) fn new(policy_id: PolicyId, strategy: StrategyKind, why: impl Into<String>) -> Self {
        Self {
            policy_id,
            strategy,
            metric: None,
            up: Ballot::Abstain,
            down: Ballot::Abstain,
            floor: None,
            ratio: None,
            urgent: false,
            external: false,
            why: why.into(),
            parts: Vec::new(),
        }
    }

    /// Asks for `desired`, where there are `current` now.
    pub(super) fn wanting(mut self, desired: u32, current: u32) -> Self {
        (self.up, self.down) = match desired.cmp(&current) {
            std::cmp::Ordering::Greater => (Ballot::Count(desired), Ballot::Hold),
            std::cmp::Ordering::Equal => (Ballot::Hold, Ballot::Hold),
            std::cmp::Ordering::Less => (Ballot::Hold, Ballot::Count(desired)),
        };
        self
    }

    /// Asks for what there is.
    pub(super) fn holding(self) -> Self {
        self.with(Ballot::Hold)
    }

    /// Cannot say.
    pub(super) fn without_data(self) -> Self {
        self.with(Ballot::NoData)
    }

    fn with(mut self, ballot: Ballot) -> Self {
        (self.up, self.down) = (ballot, ballot);
        self
    }

    /// Whether data is missing in either direction.
    #[must_use]
    pub fn lacks_data(&self) -> bool {
        self.up == Ballot::NoData || self.down == Ballot::NoData
    }

    /// What orders votes in a record, whatever order they were made in.
    pub(super) fn rank(&self) -> (PolicyId, StrategyKind, Option<&str>) {
        (self.policy_id, self.strategy, self.metric.as_deref())
    }
}
