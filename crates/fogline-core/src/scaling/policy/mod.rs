//! What a user asks of the scaling engine. One struct serves the YAML file, the JSON body and the row.
//!
//! [`PolicySpec`] is what was written, [`Policy`] is one that was checked, with its cron expressions read. Must never
//! hold anything that was observed. Invariant: there is no way to a [`Policy`] but through every check in [`validate`].
//! Where a number has a default, it is that of the behaviour's reference or of the field's standard (named there).

mod forecast;
mod idle;
mod limits;
mod load_score;
mod metric;
mod missing;
mod rule;
mod schedule;
mod source;
mod span;
mod target;
mod validate;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::strategy::cron::CronSchedule;
use crate::id::PolicyId;
use crate::spec::FieldError;

pub use forecast::ForecastSpec;
pub use idle::{ActivationSpec, IdleSpec};
pub use limits::{MaxChange, ScaleDownSpec, ScaleUpSpec, ToleranceSpec};
pub use load_score::{Aggressiveness, LoadScoreSpec};
pub use metric::{Aggregate, MetricSpec, Question, Server, SourceKind};
pub use missing::{FallbackBehavior, FallbackSpec, OnMissing};
pub use rule::{Match, Operator, RuleSpec};
pub use schedule::{ScheduleSpec, WindowMode};
pub use span::Span;
pub use target::{TargetSpec, TargetType};
pub(crate) use validate::MAX_REPLICAS_ELSEWHERE;
pub use validate::validate_manual;

/// Whether a policy acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It does.
    #[default]
    Active,
    /// It only records what it would have done.
    Shadow,
}

impl Mode {
    /// The name in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Shadow => "shadow",
        }
    }
}

/// How many replicas a target has, and why.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// 1 to 100 letters, digits, `-`, `_` and `.`; unique among its owner's policies.
    pub name: String,
    /// What is scaled: `deployment`, `proxy`, `node_pool`, `kubernetes`, `webhook`, or a name of the user's own.
    pub target_type: String,
    /// Which one: an id or a name.
    #[serde(default)]
    pub target_id: Option<String>,
    /// A policy that is not enabled neither votes nor bounds.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// `active`, or `shadow` to record only.
    #[serde(default)]
    pub mode: Mode,
    /// Whether decisions go to the log instead of the target.
    #[serde(default)]
    pub dry_run: bool,
    /// The smallest count; 0 needs `scale_to_zero`, and even then only idleness sets 0.
    #[serde(default = "default_min_replicas")]
    pub min_replicas: u32,
    /// The largest count, at least `min_replicas`; at most 100 for a deployment.
    #[serde(default = "default_max_replicas")]
    pub max_replicas: u32,
    /// Both cooldowns at once, in seconds.
    #[serde(default)]
    pub cooldown_seconds: Option<u64>,
    /// From one scale-up to the next; 60 s with rules or a load score, else none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up_cooldown: Option<Span>,
    /// From a change of either kind to a scale-down; 300 s with rules or a load score, else none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_cooldown: Option<Span>,
    /// The most that all replicas together may cost an hour; growth stops there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_hourly_cost: Option<f64>,
    /// What one replica costs an hour, in the same currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_hourly_cost: Option<f64>,
    /// Metrics of the policy's own, by the names that rules and targets use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, MetricSpec>,
    /// With a target outside of this system: where a change of the count is posted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// Whether idleness may set the count to 0.
    #[serde(default)]
    pub scale_to_zero: bool,
    /// What idleness is.
    #[serde(default)]
    pub idle: IdleSpec,
    /// When to add replicas.
    #[serde(default)]
    pub scale_up_rules: Vec<RuleSpec>,
    /// When to take replicas away.
    #[serde(default)]
    pub scale_down_rules: Vec<RuleSpec>,
    /// Whether `all` rules of a direction must hold, or `any`.
    #[serde(rename = "match", default)]
    pub matching: Match,
    /// Counts at times of day.
    #[serde(default)]
    pub schedules: Vec<ScheduleSpec>,
    /// Scaling by the composite score of the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_score: Option<LoadScoreSpec>,
    /// Metrics that are kept near a value.
    #[serde(default)]
    pub targets: Vec<TargetSpec>,
    /// Replicas before the load that needs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastSpec>,
    /// How far a target's ratio may be from 1.0 without a change.
    #[serde(default)]
    pub tolerance: ToleranceSpec,
    /// Limits of growing.
    #[serde(default)]
    pub scale_up: ScaleUpSpec,
    /// Limits of shrinking.
    #[serde(default)]
    pub scale_down: ScaleDownSpec,
    /// Percent of the replicas that may be stopped in a minute, at least one replica.
    #[serde(default = "default_max_terminations")]
    pub max_terminations: f64,
    /// What happens without data.
    #[serde(default)]
    pub on_missing: OnMissing,
    /// The count for `on_missing: fallback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<FallbackSpec>,
}

const fn yes() -> bool {
    true
}

const fn default_min_replicas() -> u32 {
    1
}

const fn default_max_replicas() -> u32 {
    10
}

const fn default_max_terminations() -> f64 {
    30.0
}

const DEFAULT_SCALE_UP_COOLDOWN: Duration = Duration::from_secs(60);
const DEFAULT_SCALE_DOWN_COOLDOWN: Duration = Duration::from_secs(300);

impl PolicySpec {
    /// A policy with nothing but bounds, and everything else as by default.
    #[must_use]
    pub fn new(name: impl Into<String>, target_type: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            target_type: target_type.into(),
            target_id: None,
            enabled: true,
            mode: Mode::default(),
            dry_run: false,
            min_replicas: default_min_replicas(),
            max_replicas: default_max_replicas(),
            cooldown_seconds: None,
            scale_up_cooldown: None,
            scale_down_cooldown: None,
            max_hourly_cost: None,
            replica_hourly_cost: None,
            metrics: BTreeMap::new(),
            callback_url: None,
            scale_to_zero: false,
            idle: IdleSpec::default(),
            scale_up_rules: Vec::new(),
            scale_down_rules: Vec::new(),
            matching: Match::default(),
            schedules: Vec::new(),
            load_score: None,
            targets: Vec::new(),
            forecast: None,
            tolerance: ToleranceSpec::default(),
            scale_up: ScaleUpSpec::default(),
            scale_down: ScaleDownSpec::default(),
            max_terminations: default_max_terminations(),
            on_missing: OnMissing::default(),
            fallback: None,
        }
    }

    /// From one scale-up to the next. Rules and the load score step, so they wait for the effect of a step; target
    /// tracking computes the whole way, and its stabilization does the work.
    #[must_use]
    pub fn scale_up_cooldown(&self) -> Duration {
        self.cooldown(self.scale_up_cooldown, DEFAULT_SCALE_UP_COOLDOWN)
    }

    /// From a change of either kind to a scale-down.
    #[must_use]
    pub fn scale_down_cooldown(&self) -> Duration {
        self.cooldown(self.scale_down_cooldown, DEFAULT_SCALE_DOWN_COOLDOWN)
    }

    fn cooldown(&self, own: Option<Span>, default: Duration) -> Duration {
        let steps = !self.scale_up_rules.is_empty() || !self.scale_down_rules.is_empty() || self.load_score.is_some();
        own.map(|span| span.0).or(self.cooldown_seconds.map(Duration::from_secs)).unwrap_or(if steps {
            default
        } else {
            Duration::ZERO
        })
    }
}

/// A policy whose every field was checked.
#[derive(Clone, Debug)]
pub struct Policy {
    id: PolicyId,
    spec: Arc<PolicySpec>,
    schedules: Vec<CronSchedule>,
}

impl Policy {
    /// Checks `spec`.
    ///
    /// # Errors
    /// All the fields that cannot be accepted.
    pub fn new(id: PolicyId, spec: impl Into<Arc<PolicySpec>>) -> Result<Self, Vec<FieldError>> {
        let spec = spec.into();
        let schedules = validate::validate(&spec)?;
        Ok(Self { id, spec, schedules })
    }

    /// Its id, under which its memory is kept.
    #[must_use]
    pub const fn id(&self) -> PolicyId {
        self.id
    }

    /// What was written.
    #[must_use]
    pub fn spec(&self) -> &PolicySpec {
        &self.spec
    }

    /// Its schedules, with their cron expressions read, in the order of the spec.
    pub(crate) fn schedules(&self) -> impl Iterator<Item = (&ScheduleSpec, &CronSchedule)> {
        self.spec.schedules.iter().zip(&self.schedules)
    }
}
