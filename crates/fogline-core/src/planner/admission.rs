//! The first placement of a deployment: all of it, or none.

use super::{Action, Plan};
use crate::cluster::{Cluster, Deployment};
use crate::placement::FilterKind;
use crate::spec::WhenFull;
use crate::state::DeploymentStatus;
use crate::time::Timestamp;

pub(super) fn admit(cluster: &Cluster, deployment: &Deployment, now: Timestamp) -> Plan {
    let record = &deployment.record;
    let needed = record.target_replicas;
    let demand = cluster.demand(record.id, &record.spec);
    let siblings = cluster.siblings(deployment, now);
    let places = cluster.place(&demand, &siblings, needed, now);
    let found = u32::try_from(places.len()).unwrap_or(u32::MAX);
    if found >= needed {
        let mut actions: Vec<Action> = places.into_iter().map(|node| Action::Create { node, replaces: None }).collect();
        let reason = format!("Scheduled {needed} replicas").into();
        actions.push(Action::Become { status: DeploymentStatus::Scheduled, reason });
        return Plan { actions, ..Plan::default() };
    }
    // Its own replicas that are still stopping hold room that will be free in a moment.
    let room_is_coming = !deployment.replicas.is_empty();
    if record.spec.placement.when_full == WhenFull::Wait || room_is_coming {
        return Plan { unplaced: needed, ..Plan::default() };
    }
    // Too little room is told as the numbers alone; what no room would mend is told as what it is.
    let report = cluster.explain(&demand, &siblings, needed, now);
    let reason = match report.only_reason() {
        Some(FilterKind::Runtime | FilterKind::Constraints) => format!("Insufficient nodes: {}", report.summary()),
        _ => format!("Insufficient nodes: need {needed}, found {found}"),
    };
    let failed = Action::Become { status: DeploymentStatus::Failed, reason: reason.into() };
    Plan { actions: vec![failed], ..Plan::default() }
}
