//! Telling others what a batch changed: agents their new lists, proxies their routes, presence and figures what is gone.
//!
//! Only what is durable comes here, or what no row holds. Invariant: an agent is sent a list, and a proxy a service, only
//! when it is another, so reports of a hundred replicas that start do not bring a hundred lists back. Tests:
//! `tests/it/agents.rs`, `tests/it/proxies`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use fogline_api::protocol::NodeAssignment;
use fogline_core::Cluster;
use fogline_core::cluster::Changes;
use fogline_core::id::{DeploymentId, NodeId};
use fogline_core::record::ReplicaRecord;
use fogline_core::traffic::Service;

use crate::agents::Registry;
use crate::events::Feed;
use crate::leadership::Mandate;
use crate::presence::Presence;
use crate::proxies::{Figures, Registry as Proxies};
use crate::scaling::Alarm;
use crate::telemetry::{Census, Telemetry};

/// Whom a publisher tells.
pub(crate) struct PublisherParts {
    pub(crate) registry: Arc<Registry>,
    pub(crate) presence: Presence,
    pub(crate) telemetry: Telemetry,
    pub(crate) mandate: Arc<Mandate>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) alarm: Arc<Alarm>,
    pub(crate) proxies: Arc<Proxies>,
    pub(crate) traffic: Arc<Figures>,
}

pub(crate) struct Publisher {
    registry: Arc<Registry>,
    presence: Presence,
    telemetry: Telemetry,
    mandate: Arc<Mandate>,
    feed: Arc<Feed>,
    alarm: Arc<Alarm>,
    proxies: Arc<Proxies>,
    traffic: Arc<Figures>,
    /// The table of routes, as proxies know it.
    table: HashMap<DeploymentId, Service>,
    census: Census,
}

impl Publisher {
    pub(crate) fn new(parts: PublisherParts) -> Self {
        let PublisherParts { registry, presence, telemetry, mandate, feed, alarm, proxies, traffic } = parts;
        let (table, census) = (HashMap::new(), Census::default());
        Self { registry, presence, telemetry, mandate, feed, alarm, proxies, traffic, table, census }
    }

    /// The cluster was loaded: counts anew, and sends every list that somebody waits for.
    pub(super) fn loaded(&mut self, cluster: &Cluster, revision: u64) {
        self.census = Census::of(cluster);
        self.census.show(&self.telemetry);
        self.feed.restart(revision);
        self.send(cluster, revision, self.registry.nodes());
        let services = cluster.services();
        self.proxies.whole(&services);
        self.traffic.route_all(&services);
        self.table = services.into_iter().map(|service| (service.deployment_id, service)).collect();
    }

    /// A batch has landed: with its rows where it has any, and with what it has brought that no row says.
    pub(super) fn landed(&mut self, cluster: &Cluster, changes: &Changes, revision: u64) {
        if !changes.is_empty() {
            self.presence.committed(changes);
            self.feed.committed(cluster, changes, revision);
            self.alarm.committed(changes);
            self.census.committed(changes);
            self.census.show(&self.telemetry);
        }
        // A replica that becomes ready changes its row and its deployment's readiness: its service is compared once.
        let mut nodes = touched(cluster, changes);
        nodes.extend(&changes.released);
        self.send(cluster, revision, nodes);
        let mut services = rerouted(cluster, changes);
        services.extend(&changes.readiness);
        self.route(cluster, services);
        for node in changes.nodes.removals() {
            self.registry.removed(node);
        }
    }

    /// Tells proxies of those of these deployments that are another service than they know.
    fn route(&mut self, cluster: &Cluster, touched: BTreeSet<DeploymentId>) {
        for id in touched {
            let service = cluster.service(id);
            if self.table.get(&id) == service.as_ref() {
                continue;
            }
            self.proxies.changed(id, service.as_ref());
            self.traffic.routed(id, service.as_ref());
            match service {
                Some(service) => self.table.insert(id, service),
                None => self.table.remove(&id),
            };
        }
    }

    fn send(&self, cluster: &Cluster, revision: u64, nodes: impl IntoIterator<Item = NodeId>) {
        for node_id in nodes {
            if let Some(session) = self.registry.session_of(node_id) {
                let authority = self.mandate.authority(revision);
                session.publish(NodeAssignment { authority, node_id, assignment: cluster.assignment(node_id) });
            }
        }
    }
}

/// Nodes whose list is another than before.
fn touched(cluster: &Cluster, changes: &Changes) -> BTreeSet<NodeId> {
    let mut nodes = BTreeSet::new();
    // Whoever is about to start something of that revision must hear what it is made of.
    for ((deployment, revision), _) in changes.image_digests.iter() {
        let replicas = cluster.deployment(deployment).into_iter().flat_map(|found| cluster.replicas_of(found));
        nodes.extend(replicas.filter(|replica| replica.revision == revision).filter_map(|replica| replica.node_id));
    }
    for (_, edit) in changes.replicas.iter() {
        let (before, after) = (edit.before.as_ref().and_then(line), edit.after.as_ref().and_then(line));
        if before != after {
            nodes.extend(before.map(|(node, ..)| node));
            nodes.extend(after.map(|(node, ..)| node));
        }
    }
    nodes
}

/// Deployments that may be another service than before.
fn rerouted(cluster: &Cluster, changes: &Changes) -> BTreeSet<DeploymentId> {
    let mut deployments: BTreeSet<DeploymentId> = changes.deployments.iter().map(|(id, _)| id).collect();
    let rows = changes.replicas.iter().filter_map(|(_, edit)| edit.after.as_ref().or(edit.before.as_ref()));
    deployments.extend(rows.map(|replica| replica.deployment_id));
    for (node, edit) in changes.nodes.iter() {
        // What is on a node that is lost, or back, gets no requests, or does again.
        if edit.before.as_ref().map(|node| node.liveness) != edit.after.as_ref().map(|node| node.liveness) {
            deployments.extend(cluster.replicas_on(node).map(|replica| replica.deployment_id));
        }
    }
    deployments
}

/// What a replica's line in a list follows from: where, of which revision, and whether it should run.
fn line(replica: &ReplicaRecord) -> Option<(NodeId, u32, bool)> {
    let node = replica.node_id.filter(|_| !replica.status.is_terminal())?;
    Some((node, replica.revision, replica.status.is_live()))
}
