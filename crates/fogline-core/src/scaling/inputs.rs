//! Everything that an evaluation is told beside the policy and its memory.
//!
//! Must never hold anything that was asked for while evaluating: whoever calls has asked before, so that live, dry-run,
//! shadow and backtest see the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::forecast::{Model, NoModel};
use super::sample::Reading;
use crate::id::PolicyId;
use crate::time::Timestamp;

/// For what an evaluation is made. It changes nothing but a word in the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Run {
    /// To act.
    #[default]
    Live,
    /// To see what would be done.
    DryRun,
    /// To record what an active policy would have done.
    Shadow,
    /// To try a policy on a series.
    Backtest,
}

impl Run {
    /// The name in records and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::DryRun => "dry_run",
            Self::Shadow => "shadow",
            Self::Backtest => "backtest",
        }
    }
}

/// The replicas of the target. Surge replicas of a rollout are in none of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ReplicaCounts {
    /// The count that is asked for now.
    pub current: u32,
    /// Replicas that serve.
    pub ready: u32,
    /// Whether new replicas of the present release are failing.
    pub release_failing: bool,
}

/// What the proxy sees of the target's requests. Health probes and scrapes are no requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProxySignal {
    /// When it was seen. Older than a minute it says nothing.
    pub at: Timestamp,
    /// Requests that are open.
    pub open: u32,
    /// Requests that wait for a replica.
    pub held: u32,
    /// Since when there has been no request.
    pub quiet_since: Timestamp,
    /// Counts the wake-ups; the writer compares it once more before it applies a zero.
    pub sequence: u64,
}

impl ProxySignal {
    /// Whether there are requests at this moment.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.open > 0 || self.held > 0
    }
}

/// Who asked for a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// The strategies.
    #[default]
    Auto,
    /// A person.
    Manual,
    /// A time of day.
    Schedule,
    /// A request that waits at zero.
    Proxy,
    /// An administrator.
    Admin,
}

impl Trigger {
    /// Whether a person has asked for it.
    #[must_use]
    pub const fn is_a_persons(self) -> bool {
        matches!(self, Self::Manual | Self::Admin)
    }

    /// The name in records and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Manual => "manual",
            Self::Schedule => "schedule",
            Self::Proxy => "proxy",
            Self::Admin => "admin",
        }
    }
}

/// A count that a person asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ManualScale {
    /// The count.
    pub replicas: u32,
    /// Who.
    pub by: String,
    /// `manual` or `admin`.
    pub trigger: Trigger,
    /// How long it holds; until the policy's cooldown ends when nothing is said.
    pub until: Option<Timestamp>,
}

/// What an evaluation is told.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Inputs {
    /// For what it is made.
    pub run: Run,
    /// The target's replicas.
    pub replicas: ReplicaCounts,
    /// Each metric that the policies name, as [`super::metrics`] lists them. One that is not here is missing.
    pub readings: BTreeMap<String, Reading>,
    /// The models of those policies that forecast, or why there is none. Fitted by whoever has the history.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub forecasts: BTreeMap<PolicyId, Result<Arc<Model>, NoModel>>,
    /// How long a replica takes from being asked for to serving, as measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Duration>,
    /// The proxy's own view; nothing where the target has no route.
    pub proxy: Option<ProxySignal>,
    /// What a person asks for at this moment.
    pub manual: Option<ManualScale>,
    /// What a replica costs an hour, where the policy does not say.
    pub replica_hourly_cost: Option<f64>,
}
