//! Telling others what a commit changed: agents their new lists, presence and figures what is gone.
//!
//! Only what is durable comes here. Invariant: an agent is sent a list only when what it should do has changed, so
//! reports of a hundred replicas that start do not bring a hundred lists back. Tests: below, `tests/it/agents.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use fogline_api::protocol::NodeAssignment;
use fogline_core::Cluster;
use fogline_core::cluster::Changes;
use fogline_core::id::NodeId;
use fogline_core::record::ReplicaRecord;

use crate::agents::Registry;
use crate::events::Feed;
use crate::leadership::Mandate;
use crate::presence::Presence;
use crate::scaling::Alarm;
use crate::telemetry::{Census, Telemetry};

pub(crate) struct Publisher {
    registry: Arc<Registry>,
    presence: Presence,
    telemetry: Telemetry,
    mandate: Arc<Mandate>,
    feed: Arc<Feed>,
    alarm: Arc<Alarm>,
    census: Census,
}

impl Publisher {
    pub(crate) fn new(
        registry: Arc<Registry>,
        presence: Presence,
        telemetry: Telemetry,
        mandate: Arc<Mandate>,
        feed: Arc<Feed>,
        alarm: Arc<Alarm>,
    ) -> Self {
        Self { registry, presence, telemetry, mandate, feed, alarm, census: Census::default() }
    }

    /// The cluster was loaded: counts anew, and sends every list that somebody waits for.
    pub(super) fn loaded(&mut self, cluster: &Cluster, revision: u64) {
        self.census = Census::of(cluster);
        self.census.show(&self.telemetry);
        self.feed.restart(revision);
        self.send(cluster, revision, self.registry.nodes());
    }

    /// A batch was committed.
    pub(super) fn committed(&mut self, cluster: &Cluster, changes: &Changes, revision: u64) {
        self.presence.committed(changes);
        self.feed.committed(cluster, changes, revision);
        self.alarm.committed(changes);
        self.census.committed(changes);
        self.census.show(&self.telemetry);
        self.send(cluster, revision, touched(cluster, changes));
        for node in changes.nodes.removals() {
            self.registry.removed(node);
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

/// What a replica's line in a list follows from: where, of which revision, and whether it should run.
fn line(replica: &ReplicaRecord) -> Option<(NodeId, u32, bool)> {
    let node = replica.node_id.filter(|_| !replica.status.is_terminal())?;
    Some((node, replica.revision, replica.status.is_live()))
}
