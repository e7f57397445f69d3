//! How elastic a run was, in figures.
//!
//! Accuracy, time share and instability are the elasticity metrics of the SPEC Research Group: N. Herbst and others,
//! "Ready for Rain? A View from SPEC Research on the Future of Cloud Metrics", SPEC-RG-2016-01. Demand `d` is the fewest
//! replicas that carry the load, supply `s` those that serve. All are percent; 0 is best.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ChangeRecord, Moment};

/// The figures of a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Figures {
    /// Mean of `max(d - s, 0) / d`: how much was lacking.
    pub under_provisioning_percent: f64,
    /// Mean of `max(s - d, 0) / d`: how much was too much.
    pub over_provisioning_percent: f64,
    /// Share of time with `s < d`.
    pub time_under_percent: f64,
    /// Share of time with `s > d`.
    pub time_over_percent: f64,
    /// Share of time in which supply and demand do not move the same way.
    pub instability_percent: f64,
    /// Replicas that were asked for, times hours.
    pub replica_hours: f64,
    /// What they cost, where a price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Changes of the count.
    pub changes: u32,
    /// Changes in the other direction than the one before.
    pub reversals: u32,
    /// Times at which demand rose above supply.
    pub load_steps: u32,
    /// From such a moment until enough replicas served, on average, in seconds. Those that never got there count to
    /// the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_capacity_mean_s: Option<f64>,
    /// The longest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_capacity_max_s: Option<f64>,
}

impl Figures {
    /// Of a run: what was at each of its moments, the soonest first, and when the count was changed. `price` is a replica's an
    /// hour.
    #[must_use]
    pub fn of(moments: &[Moment], changes: &[ChangeRecord], price: Option<f64>) -> Self {
        let (mut under, mut over, mut time_under, mut time_over) = (0.0, 0.0, 0.0, 0.0);
        let (mut unstable, mut replica_hours, mut total) = (0.0, 0.0, 0.0);
        let mut before: Option<Moment> = None;
        // Each moment lasts until the next one; the last one lasts no time.
        for pair in moments.windows(2) {
            let (now, span) = (pair[0], pair[1].at.since(pair[0].at).as_secs_f64());
            let (demand, supply) = (f64::from(now.demanded), f64::from(now.ready));
            // Where nothing is demanded, the smallest demand there is stands for it.
            let scale = demand.max(1.0);
            under += (demand - supply).max(0.0) / scale * span;
            over += (supply - demand).max(0.0) / scale * span;
            time_under += if supply < demand { span } else { 0.0 };
            time_over += if supply > demand { span } else { 0.0 };
            if let Some(before) = before {
                let moved = now.ready.cmp(&before.ready) == now.demanded.cmp(&before.demanded);
                unstable += if moved { 0.0 } else { span };
            }
            replica_hours += f64::from(now.asked) * span / 3_600.0;
            total += span;
            before = Some(now);
        }
        let percent = |sum: f64| if total > 0.0 { sum / total * 100.0 } else { 0.0 };
        let waits = waits(moments);
        Self {
            under_provisioning_percent: percent(under),
            over_provisioning_percent: percent(over),
            time_under_percent: percent(time_under),
            time_over_percent: percent(time_over),
            instability_percent: percent(unstable),
            replica_hours,
            cost: price.map(|price| price * replica_hours),
            changes: u32::try_from(changes.len()).unwrap_or(u32::MAX),
            reversals: reversals(changes),
            load_steps: u32::try_from(waits.len()).unwrap_or(u32::MAX),
            time_to_capacity_mean_s: (!waits.is_empty())
                .then(|| waits.iter().map(Duration::as_secs_f64).sum::<f64>() / waits.len() as f64),
            time_to_capacity_max_s: waits.iter().max().map(Duration::as_secs_f64),
        }
    }
}

/// How long each lack of capacity lasted.
fn waits(moments: &[Moment]) -> Vec<Duration> {
    let mut found = Vec::new();
    let mut since = None;
    for moment in moments {
        match (since, moment.ready < moment.demanded) {
            (None, true) => since = Some(moment.at),
            (Some(start), false) => {
                found.push(moment.at.since(start));
                since = None;
            }
            _ => {}
        }
    }
    if let (Some(start), Some(last)) = (since, moments.last()) {
        found.push(last.at.since(start));
    }
    found
}

fn reversals(changes: &[ChangeRecord]) -> u32 {
    let turned = changes.windows(2).filter(|pair| (pair[0].to > pair[0].from) != (pair[1].to > pair[1].from)).count();
    u32::try_from(turned).unwrap_or(u32::MAX)
}
