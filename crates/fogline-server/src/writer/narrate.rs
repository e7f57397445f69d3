//! The log of what was decided, line by line as an operator wants to read it.
//!
//! Derived from what was committed, so a line is never about something that did not happen. Must never decide.

use std::collections::BTreeMap;

use fogline_core::Cluster;
use fogline_core::command::{Actor, Command, Outcome, Request};
use fogline_core::id::{DeploymentId, NodeId};
use fogline_core::state::{DeploymentStatus, ReplicaStatus};

use super::batch::{Batch, Verdict};

/// Tells of a committed batch.
pub(super) fn batch<'a>(cluster: &Cluster, requests: impl Iterator<Item = &'a Request>, batch: &Batch) {
    if !tracing::enabled!(tracing::Level::ERROR) {
        return;
    }
    for (request, verdict) in requests.zip(&batch.verdicts) {
        command(cluster, request, verdict);
    }
    if tracing::enabled!(tracing::Level::INFO) {
        placements(cluster, batch);
    }
    statuses(cluster, batch);
    if tracing::enabled!(tracing::Level::DEBUG) {
        replicas(cluster, batch);
    }
    for (_, edit) in batch.changes.nodes.iter() {
        match (&edit.before, &edit.after) {
            (None, Some(node)) => {
                tracing::info!("Node {} joined: {} in {}/{}", node.name, node.capacity, node.region, node.zone)
            }
            (Some(node), None) => tracing::info!("Node {} was removed", node.name),
            (Some(before), Some(after)) if before.liveness != after.liveness => {
                tracing::warn!("Node {} is {}", after.name, after.liveness.as_str());
            }
            _ => {}
        }
    }
}

fn command(cluster: &Cluster, request: &Request, verdict: &Verdict) {
    let who = match &request.actor {
        Actor::User { name, .. } => name,
        Actor::Agent => "an agent",
        Actor::System => "the system",
    };
    match (&request.command, verdict) {
        (Command::Deploy { spec }, Verdict::Accepted(Outcome::Deployed { deployment_id, replicas })) => {
            tracing::info!("Creating deployment: {} ({}) for user {who}", spec.name, spec.kind);
            tracing::info!("Created deployment record {deployment_id} for {} with {replicas} replicas", spec.name);
            tracing::info!("Scheduling deployment {deployment_id}: {replicas} replicas, {}", spec.resources);
        }
        (Command::ScaleDeployment { deployment_id, .. }, Verdict::Accepted(Outcome::Scaled { from, to, .. })) => {
            tracing::info!("Scaled deployment {deployment_id} from {from} to {to} replicas for user {who}");
        }
        (Command::Decide(decided), Verdict::Accepted(Outcome::Decided { from, to, pending, .. })) if from != to => {
            let (target, reason) = (&decided.target, &decided.decision.reason);
            let how = if *pending { ", which its executor is told" } else { "" };
            tracing::info!("Policies scale {target} from {from} to {to} replicas{how}: {reason}");
        }
        (Command::Wake { deployment_id, held }, Verdict::Accepted(Outcome::Decided { to, .. })) => {
            tracing::info!("Waking deployment {deployment_id} with {to} replicas: {held} requests wait for it");
        }
        (Command::StopDeployment { deployment_id }, Verdict::Accepted(_)) => {
            tracing::info!("Stopping deployment {deployment_id} for user {who}");
        }
        (Command::StartDeployment { deployment_id }, Verdict::Accepted(_)) => {
            tracing::info!("Starting deployment {deployment_id} for user {who}");
        }
        (Command::DeleteDeployment { deployment_id }, Verdict::Accepted(_)) => {
            tracing::info!("Deleting deployment {deployment_id} for user {who}");
        }
        (
            Command::UpdateDeployment { .. },
            Verdict::Accepted(Outcome::DeploymentUpdated { deployment_id, revision, .. }),
        ) => {
            tracing::info!("Updated deployment {deployment_id} to revision {revision} for user {who}");
        }
        (Command::NoteRefusedLogin { username, reason }, _) => {
            tracing::warn!(remote = request.remote, "Refused login of {username:?}: {reason}");
        }
        (Command::UpdateNode { node_id, .. }, Verdict::Accepted(_)) => {
            tracing::info!("Changed node {} for user {who}", node_name(cluster, *node_id));
        }
        (_, Verdict::Rejected(rejection)) => {
            tracing::info!(kind = rejection.slug(), "Refused a command of {who}: {rejection}");
        }
        _ => {}
    }
}

/// Which nodes got new replicas.
fn placements(cluster: &Cluster, batch: &Batch) {
    let mut chosen: BTreeMap<DeploymentId, Vec<&str>> = BTreeMap::new();
    for (_, edit) in batch.changes.replicas.iter().filter(|(_, edit)| edit.before.is_none()) {
        if let Some(replica) = &edit.after
            && let Some(node) = replica.node_id
        {
            chosen.entry(replica.deployment_id).or_default().push(node_name(cluster, node));
        }
    }
    for (deployment, nodes) in chosen {
        tracing::info!(
            "Selected nodes for {} replicas of deployment {deployment}: [{}]",
            nodes.len(),
            nodes.join(", ")
        );
    }
}

fn statuses(cluster: &Cluster, batch: &Batch) {
    for line in &batch.changes.history {
        let id = line.deployment_id;
        if line.old_status == line.new_status {
            tracing::info!("Deployment {id}: {}", line.reason);
            continue;
        }
        if line.new_status == DeploymentStatus::Failed.as_str() {
            tracing::error!("{} with capacity", line.reason);
        }
        let (old, new) = (line.old_status, line.new_status);
        tracing::info!("Deployment {id} status: {old} -> {new} (reason: {})", line.reason);
        if line.new_status == DeploymentStatus::Scheduled.as_str() {
            let replicas = cluster.deployment(id).map_or(0, |deployment| deployment.record.target_replicas);
            tracing::info!("Successfully scheduled deployment {id} with {replicas} replicas");
        }
    }
}

fn replicas(cluster: &Cluster, batch: &Batch) {
    for (id, edit) in batch.changes.replicas.iter() {
        let Some(replica) = &edit.after else { continue };
        let before = edit.before.as_ref().map(|before| before.status);
        if before.is_none() {
            let node = replica.node_id.map_or("no node", |node| node_name(cluster, node));
            tracing::debug!("Created replica {id} on node {node}");
        }
        if before.is_some_and(|before| before != replica.status) || replica.status != ReplicaStatus::Pending {
            let status = replica.status.as_str().to_uppercase();
            tracing::debug!(reason = replica.reason.as_deref(), "Replica {id} transitioned to {status}");
        }
    }
}

fn node_name(cluster: &Cluster, id: NodeId) -> &str {
    cluster.nodes().get(id).map_or("a removed node", |node| &node.name)
}
