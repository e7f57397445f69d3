//! What agents have told and no row holds: last sign of life, load, readiness. An overlay for reads.
//!
//! Decides nothing: whether a node is lost is the cluster's to say. Invariant: holds only nodes that an agent has
//! presented, and per node at most [`MAX_REPLICAS_PER_NODE`] replicas, whatever agents send. Tests: below.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use fogline_core::cluster::Changes;
use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::observation::{NodeUsage, ReplicaReport, ReplicaUsage, ReportedState};
use fogline_core::time::Timestamp;

/// More than any node can run: a replica takes at least half a core.
const MAX_REPLICAS_PER_NODE: usize = 10_000;

/// What was last seen of a node.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NodePresence {
    /// When its agent was last heard.
    pub last_seen: Timestamp,
    /// Whether an agent presents it over an open session now.
    pub attached: bool,
    /// Its last load.
    pub usage: Option<NodeUsage>,
}

/// What was last seen of a replica.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ReplicaPresence {
    /// Whether its readiness check passes.
    pub ready: bool,
    /// Processor time it uses.
    pub cpu_millis: u32,
    /// Memory it uses.
    pub memory_mb: u32,
}

#[derive(Debug)]
struct Node {
    last_seen: Timestamp,
    sessions: u32,
    usage: Option<NodeUsage>,
    replicas: HashMap<ReplicaId, Replica>,
}

#[derive(Debug, Default)]
struct Replica {
    seen: ReplicaPresence,
    /// The number of the report that said whether it is ready. Agents count on, and begin anew when they attach anew.
    seq: u64,
}

/// The overlay. Cheap to clone; all clones see the same.
#[derive(Clone, Debug, Default)]
pub struct Presence {
    nodes: Arc<RwLock<HashMap<NodeId, Node>>>,
}

impl Presence {
    /// What was last seen of a node; nothing when no agent has presented it since this server started.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<NodePresence> {
        self.read(|nodes| {
            let node = nodes.get(&id)?;
            Some(NodePresence { last_seen: node.last_seen, attached: node.sessions > 0, usage: node.usage })
        })
    }

    /// What was last seen of a replica on a node.
    #[must_use]
    pub fn replica(&self, node: NodeId, id: ReplicaId) -> Option<ReplicaPresence> {
        self.read(|nodes| Some(nodes.get(&node)?.replicas.get(&id)?.seen))
    }

    /// An agent presents these nodes over a new session.
    pub(crate) fn attached(&self, ids: impl IntoIterator<Item = NodeId>, now: Timestamp) {
        self.write(|nodes| {
            for id in ids {
                let node = nodes.entry(id).or_insert_with(|| Node {
                    last_seen: now,
                    sessions: 0,
                    usage: None,
                    replicas: HashMap::new(),
                });
                node.last_seen = now;
                node.sessions += 1;
                for replica in node.replicas.values_mut() {
                    replica.seq = 0;
                }
            }
        });
    }

    /// A session that presented these nodes is over.
    pub(crate) fn detached(&self, ids: impl IntoIterator<Item = NodeId>) {
        self.write(|nodes| {
            for id in ids {
                if let Some(node) = nodes.get_mut(&id) {
                    node.sessions = node.sessions.saturating_sub(1);
                }
            }
        });
    }

    /// A sign of life. It tells nothing of readiness, so of a replica that was not reported yet nothing is kept.
    pub(crate) fn heartbeat(&self, id: NodeId, usage: NodeUsage, replicas: &[ReplicaUsage], now: Timestamp) {
        self.write(|nodes| {
            let Some(node) = nodes.get_mut(&id) else { return };
            node.last_seen = now;
            node.usage = Some(usage);
            for told in replicas {
                if let Some(replica) = node.replicas.get_mut(&told.replica_id) {
                    replica.seen.cpu_millis = told.cpu_millis;
                    replica.seen.memory_mb = told.memory_mb;
                }
            }
        });
    }

    /// What an agent reported, once that is durable. Reports may come late, so an older one changes nothing.
    pub(crate) fn reported(&self, id: NodeId, reports: &[ReplicaReport], now: Timestamp) {
        self.write(|nodes| {
            let Some(node) = nodes.get_mut(&id) else { return };
            node.last_seen = now;
            for report in reports {
                if node.replicas.get(&report.replica_id).is_some_and(|known| known.seq > report.seq) {
                    continue;
                }
                if matches!(report.state, ReportedState::Stopped | ReportedState::Failed) {
                    node.replicas.remove(&report.replica_id);
                } else if let Some(replica) = node.replica(report.replica_id) {
                    replica.seen.ready = report.ready;
                    replica.seq = report.seq;
                }
            }
        });
    }

    /// Forgets nodes that were removed and replicas that are gone.
    pub(crate) fn committed(&self, changes: &Changes) {
        let gone = changes.replicas.upserts().filter(|replica| replica.status.is_terminal());
        let gone: Vec<_> = gone.filter_map(|replica| Some((replica.node_id?, replica.id))).collect();
        let removed: Vec<_> = changes.nodes.removals().collect();
        if gone.is_empty() && removed.is_empty() {
            return;
        }
        self.write(|nodes| {
            for (node, replica) in gone {
                if let Some(node) = nodes.get_mut(&node) {
                    node.replicas.remove(&replica);
                }
            }
            for id in removed {
                nodes.remove(&id);
            }
        });
    }

    fn read<T>(&self, read: impl FnOnce(&HashMap<NodeId, Node>) -> T) -> T {
        read(&self.nodes.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, write: impl FnOnce(&mut HashMap<NodeId, Node>) -> T) -> T {
        write(&mut self.nodes.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Node {
    fn replica(&mut self, id: ReplicaId) -> Option<&mut Replica> {
        if self.replicas.len() >= MAX_REPLICAS_PER_NODE && !self.replicas.contains_key(&id) {
            return None;
        }
        Some(self.replicas.entry(id).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::id::IdSource;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);
    const IDLE: NodeUsage = NodeUsage { cpu_percent: 1.0, memory_percent: 2.0 };

    fn report(replica_id: ReplicaId, state: ReportedState) -> ReplicaReport {
        ReplicaReport {
            replica_id,
            seq: 1,
            state,
            ready: state == ReportedState::Running,
            restarts: 0,
            endpoint: None,
            container_id: None,
            image_digest: None,
            exit_code: None,
            message: None,
        }
    }

    #[test]
    fn a_node_is_attached_while_any_of_its_sessions_lives() {
        let (presence, id) = (Presence::default(), IdSource::new(1).next(NOW));
        assert_eq!(presence.node(id), None);
        presence.attached([id], NOW);
        presence.attached([id], NOW);
        presence.detached([id]);
        assert!(presence.node(id).expect("seen").attached);
        presence.detached([id]);
        assert!(!presence.node(id).expect("still known").attached);
    }

    #[test]
    fn a_replica_is_known_from_its_first_report_to_its_last() {
        let mut ids = IdSource::new(1);
        let (presence, node, replica) = (Presence::default(), ids.next(NOW), ids.next(NOW));
        presence.attached([node], NOW);
        presence.reported(node, &[report(replica, ReportedState::Running)], NOW);
        presence.heartbeat(node, IDLE, &[ReplicaUsage { replica_id: replica, cpu_millis: 7, memory_mb: 9 }], NOW);
        let expected = ReplicaPresence { ready: true, cpu_millis: 7, memory_mb: 9 };
        assert_eq!(presence.replica(node, replica), Some(expected));
        presence.reported(node, &[report(replica, ReportedState::Stopped)], NOW);
        assert_eq!(presence.replica(node, replica), None);
    }

    #[test]
    fn a_heartbeat_says_nothing_of_readiness() {
        let mut ids = IdSource::new(1);
        let (presence, node, replica) = (Presence::default(), ids.next(NOW), ids.next(NOW));
        presence.attached([node], NOW);
        presence.heartbeat(node, IDLE, &[ReplicaUsage { replica_id: replica, cpu_millis: 7, memory_mb: 9 }], NOW);
        assert_eq!(presence.replica(node, replica), None, "its row is the best word until its agent reports it");
    }

    #[test]
    fn a_late_copy_of_a_report_changes_nothing_until_the_agent_attaches_anew() {
        let mut ids = IdSource::new(1);
        let (presence, node, replica) = (Presence::default(), ids.next(NOW), ids.next(NOW));
        let reported = |seq, ready| {
            let report = ReplicaReport { seq, ready, ..report(replica, ReportedState::Running) };
            presence.reported(node, &[report], NOW);
            presence.replica(node, replica).expect("seen").ready
        };
        presence.attached([node], NOW);
        assert!(reported(5, true));
        assert!(reported(4, false), "an older one");
        assert!(!reported(6, false), "a newer one");
        presence.attached([node], NOW);
        assert!(reported(1, true), "the first of a new session");
    }

    #[test]
    fn what_nobody_presents_takes_no_memory() {
        let mut ids = IdSource::new(1);
        let (presence, node) = (Presence::default(), ids.next(NOW));
        presence.heartbeat(node, IDLE, &[], NOW);
        assert_eq!(presence.node(node), None);
        presence.attached([node], NOW);
        for _ in 0..MAX_REPLICAS_PER_NODE + 10 {
            presence.reported(node, &[report(ids.next(NOW), ReportedState::Starting)], NOW);
        }
        assert_eq!(presence.read(|nodes| nodes[&node].replicas.len()), MAX_REPLICAS_PER_NODE);
    }
}
