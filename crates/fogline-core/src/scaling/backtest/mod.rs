//! What a policy would have done: the same [`super::evaluate`] over a series, beside two baselines.
//!
//! Must never decide anything itself: replicas are simulated, decisions are not. The baselines are a constant count that
//! is enough for the peak, and target tracking as Kubernetes' horizontal pod autoscaler does it by default.

mod figures;
mod series;
mod simulate;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::policy::{Policy, PolicySpec, TargetSpec, TargetType};
use crate::id::PolicyId;
use crate::time::Timestamp;

pub use figures::Figures;
pub use series::{Row, Series, SeriesError};
pub use simulate::{Moment, UTILIZATION};

/// Processor use that the baseline aims for, percent: what `kubectl autoscale` asks for by default.
const HPA_UTILIZATION: f64 = 80.0;
/// How often the horizontal pod autoscaler evaluates by default.
const HPA_SYNC_PERIOD: Duration = Duration::from_secs(15);
/// The most evaluations of one run: a week at every five seconds fits.
const MOST_EVALUATIONS: u128 = 200_000;

/// The world in which a policy is tried.
#[derive(Clone, PartialEq, Debug)]
pub struct Setup {
    /// The column that is the load.
    pub load: String,
    /// How much of it one replica carries.
    pub capacity: f64,
    /// How long a replica takes from being asked for to serving.
    pub start_time: Duration,
    /// How often the policy is evaluated.
    pub interval: Duration,
    /// Replicas at the beginning; what the first moment demands when nothing is said.
    pub initial: Option<u32>,
    /// What a replica costs an hour, where the policy does not say.
    pub replica_hourly_cost: Option<f64>,
}

/// A change of the count.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ChangeRecord {
    /// When.
    pub at: Timestamp,
    /// From so many.
    pub from: u32,
    /// To so many.
    pub to: u32,
    /// Why; empty beyond the first 2,000 changes.
    pub reason: String,
}

/// One run through the series.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// Whose.
    pub name: String,
    /// How it did.
    pub figures: Figures,
    /// Each change of the count, with its reason.
    pub changes: Vec<ChangeRecord>,
    /// Load, demanded and supplied replicas at each evaluation.
    pub moments: Vec<Moment>,
}

/// The policy beside the baselines.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// The policy.
    pub policy: Outcome,
    /// A constant count that is enough for the peak.
    pub fixed: Outcome,
    /// Target tracking at 80 % utilization, every 15 s, within the policy's bounds.
    pub hpa: Outcome,
    /// Metrics that the policy names and the series has not: they were missing throughout.
    pub missing_metrics: Vec<String>,
}

/// Why a policy cannot be tried.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BacktestError {
    /// The load is not in the series.
    #[error("the series has no column {load:?} for the load; it has {}", columns.join(", "))]
    NoLoad {
        /// What was asked for.
        load: String,
        /// What there is.
        columns: Vec<String>,
    },
    /// A replica that carries nothing.
    #[error("a capacity of {capacity} a replica cannot be; it must be a number above 0")]
    Capacity {
        /// What was asked for.
        capacity: String,
    },
    /// An evaluation interval of nothing, or too many of them.
    #[error(
        "the series would take {evaluations} evaluations, where {MOST_EVALUATIONS} are the most; evaluate less often"
    )]
    TooLong {
        /// How many.
        evaluations: u128,
    },
}

/// Tries `policy` on `series`.
///
/// # Errors
/// When the series has no such load, or the setup makes no sense.
pub fn backtest(policy: &Policy, series: &Series, setup: &Setup) -> Result<Report, BacktestError> {
    if !series.metrics().contains(&setup.load) {
        let columns = series.metrics().to_vec();
        return Err(BacktestError::NoLoad { load: setup.load.clone(), columns });
    }
    if !(setup.capacity.is_finite() && setup.capacity > 0.0) {
        return Err(BacktestError::Capacity { capacity: setup.capacity.to_string() });
    }
    let evaluations = series.length().as_micros().checked_div(setup.interval.as_micros()).unwrap_or(u128::MAX);
    if evaluations > MOST_EVALUATIONS {
        return Err(BacktestError::TooLong { evaluations });
    }
    let price = policy.spec().replica_hourly_cost.or(setup.replica_hourly_cost);
    let outcome = |name: &str, (moments, changes): (Vec<Moment>, Vec<ChangeRecord>)| Outcome {
        name: name.to_owned(),
        figures: Figures::of(&moments, &changes, price),
        changes,
        moments,
    };
    let hpa = Policy::new(PolicyId::from_uuid(uuid::Uuid::nil()), hpa_like(policy.spec()))
        .expect("the bounds are those of a policy that was checked, and the rest is constant");
    Ok(Report {
        policy: outcome(&policy.spec().name, simulate::run(policy, series, setup, setup.interval)),
        fixed: outcome("static", simulate::fixed(series, setup)),
        hpa: outcome("hpa", simulate::run(&hpa, series, setup, setup.interval.max(HPA_SYNC_PERIOD))),
        missing_metrics: simulate::missing_metrics(policy, series),
    })
}

fn hpa_like(spec: &PolicySpec) -> PolicySpec {
    let target = TargetSpec { kind: Some(TargetType::Value), ..TargetSpec::new(UTILIZATION, HPA_UTILIZATION) };
    PolicySpec {
        min_replicas: spec.min_replicas.max(1),
        max_replicas: spec.max_replicas,
        // Kubernetes has no such guard.
        max_terminations: 100.0,
        targets: vec![target],
        ..PolicySpec::new("hpa", spec.target_type.clone())
    }
}
