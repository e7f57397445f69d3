//! The limits of a target on which there are several policies: of each limit the strictest.
//!
//! Invariant: adding a policy never lets a count change faster, cost more or leave its bounds.

use std::time::Duration;

use crate::scaling::policy::{MaxChange, Policy, PolicySpec};

/// Numbers that the arbiter's steps use.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub min: u32,
    pub max: u32,
    /// Whether every policy lets the target sleep.
    pub scale_to_zero: bool,
    pub up_stabilization: Duration,
    pub down_stabilization: Duration,
    pub up_rates: Vec<(MaxChange, Duration)>,
    pub down_rates: Vec<(MaxChange, Duration)>,
    pub up_cooldown: Duration,
    pub down_cooldown: Duration,
    /// Percent of the replicas in a minute.
    pub max_terminations: f64,
    pub max_hourly_cost: Option<f64>,
    pub replica_hourly_cost: Option<f64>,
}

impl Limits {
    /// Of the policies on a target; there is at least one.
    pub(crate) fn strictest(policies: &[&Policy]) -> Self {
        let specs = || policies.iter().map(|policy| policy.spec());
        let longest = |of: fn(&PolicySpec) -> Duration| specs().map(of).max().unwrap_or_default();
        let max = specs().map(|spec| spec.max_replicas).min().unwrap_or(u32::MAX);
        // Bounds that exclude each other meet at the lower end of the upper ones: nobody pays for a contradiction.
        let min = specs().map(|spec| spec.min_replicas).max().unwrap_or(0).min(max);
        Self {
            min,
            max,
            scale_to_zero: !policies.is_empty() && specs().all(|spec| spec.scale_to_zero),
            up_stabilization: longest(|spec| spec.scale_up.stabilization.0),
            down_stabilization: longest(|spec| spec.scale_down.stabilization.0),
            up_rates: specs().map(|spec| (spec.scale_up.max_change, spec.scale_up.period.0)).collect(),
            down_rates: specs().map(|spec| (spec.scale_down.max_change, spec.scale_down.period.0)).collect(),
            up_cooldown: longest(PolicySpec::scale_up_cooldown),
            down_cooldown: longest(PolicySpec::scale_down_cooldown),
            max_terminations: specs().map(|spec| spec.max_terminations).fold(100.0, f64::min),
            max_hourly_cost: specs().filter_map(|spec| spec.max_hourly_cost).reduce(f64::min),
            replica_hourly_cost: specs().filter_map(|spec| spec.replica_hourly_cost).reduce(f64::max),
        }
    }

    /// How long changes are remembered.
    pub(crate) fn memory_of_changes(&self) -> Duration {
        let rates = self.up_rates.iter().chain(&self.down_rates).map(|(_, period)| *period);
        rates.max().unwrap_or_default().max(super::terminations::MINUTE)
    }
}
