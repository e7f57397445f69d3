//! Taking note of what was observed. Writes [`super::Observed`]; a row only where a node falls silent or comes back.

use super::{Changes, Cluster, NodeObserved};
use crate::assignment::AssignedReplica;
use crate::id::{DeploymentId, NodeId, ReplicaId};
use crate::observation::{NodeUsage, ReplicaReport, ReplicaUsage};
use crate::record::{Liveness, NodeRecord, ReplicaRecord};
use crate::time::Timestamp;

/// Nodes of recent failures that are remembered for one deployment.
const MAX_FAILED_NODES: usize = 64;
/// Failed replicas that wait for a new one to take over from them, of one deployment.
const MAX_UNREPLACED: usize = 100;
/// Replicas without a row that are remembered for one node.
const MAX_UNLISTED: usize = 1_000;

impl Cluster {
    /// A sign of life of a node.
    pub(crate) fn saw_node(&mut self, id: NodeId, now: Timestamp, changes: &mut Changes) {
        let seen =
            NodeObserved { last_seen: now, usage: None, unlisted: Default::default(), condemned: Default::default() };
        let known = self.observed.nodes.entry(id).or_insert(seen);
        known.last_seen = known.last_seen.max(now);
        self.next_silence_check = self.next_silence_check.min(now.plus(self.settings.node_timeout));
        self.set_liveness(id, Liveness::Online, now, changes);
    }

    /// Declares nodes lost that have been silent for too long.
    pub(super) fn check_silence(&mut self, now: Timestamp, changes: &mut Changes) {
        if now < self.next_silence_check {
            return;
        }
        let timeout = self.settings.node_timeout;
        let mut silent = Vec::new();
        let mut next = Timestamp::from_micros(i64::MAX);
        for (_, node) in self.nodes.iter().filter(|(_, node)| node.liveness == Liveness::Online) {
            let last_seen = self.observed.nodes.get(&node.id).map_or(Timestamp::EPOCH, |seen| seen.last_seen);
            if last_seen.plus(timeout) <= now {
                silent.push(node.id);
            } else {
                next = next.min(last_seen.plus(timeout));
            }
        }
        for id in silent {
            self.set_liveness(id, Liveness::Offline, now, changes);
        }
        self.next_silence_check = next;
    }

    fn set_liveness(&mut self, id: NodeId, liveness: Liveness, now: Timestamp, changes: &mut Changes) {
        let Some(node) = self.nodes.get(id).filter(|node| node.liveness != liveness) else { return };
        let node = NodeRecord { liveness, updated_at: now, ..node.clone() };
        self.put_node(changes, node);
        self.replan_node(id);
        changes.readiness.extend(self.replicas_on(id).map(|replica| replica.deployment_id));
    }

    /// Counts every node as seen now, because it was this program that was away.
    pub fn forgive(&mut self, now: Timestamp) {
        for seen in self.observed.nodes.values_mut() {
            seen.last_seen = seen.last_seen.max(now);
        }
    }

    pub(crate) fn note_usage(&mut self, id: NodeId, usage: NodeUsage, replicas: &[ReplicaUsage], now: Timestamp) {
        if let Some(index) = self.nodes.index_of(id) {
            self.nodes.set_usage(index, usage, now);
        }
        if let Some(seen) = self.observed.nodes.get_mut(&id) {
            seen.usage = Some((usage, now));
        }
        for usage in replicas {
            if self.replicas.get(&usage.replica_id).is_some_and(|replica| replica.node_id == Some(id)) {
                let seen = self.observed.replicas.entry(usage.replica_id).or_default();
                seen.cpu_millis = usage.cpu_millis;
                seen.memory_mb = usage.memory_mb;
                seen.usage_at = Some(now);
            }
        }
    }

    pub(crate) fn note_unlisted(&mut self, node: NodeId, replica: ReplicaId, runs: bool) {
        let Some(seen) = self.observed.nodes.get_mut(&node) else { return };
        if !runs {
            seen.unlisted.remove(&replica);
            seen.condemned.remove(&replica);
        } else if seen.unlisted.len() < MAX_UNLISTED {
            seen.unlisted.insert(replica);
        }
    }

    /// Whether a replica runs on a node that the cluster has no place for.
    pub(crate) fn is_unlisted(&self, node: NodeId, replica: ReplicaId) -> bool {
        self.observed.nodes.get(&node).is_some_and(|seen| seen.unlisted.contains(&replica))
    }

    pub(crate) fn condemn(&mut self, node: NodeId, order: AssignedReplica) {
        if let Some(seen) = self.observed.nodes.get_mut(&node) {
            seen.condemned.insert(order.replica_id, order);
        }
    }

    /// Whether a report is newer than the last one heard of its replica.
    pub(crate) fn is_news(&self, report: &ReplicaReport) -> bool {
        self.observed.replicas.get(&report.replica_id).is_none_or(|seen| report.seq > seen.seq)
    }

    /// Remembers a report; says whether readiness is another than before.
    pub(crate) fn note_report(&mut self, report: &ReplicaReport, ready: bool) -> bool {
        let seen = self.observed.replicas.entry(report.replica_id).or_default();
        seen.seq = report.seq;
        std::mem::replace(&mut seen.ready, ready) != ready
    }

    /// An agent that presents itself tells everything anew, and may have lost the disk that its numbers were on.
    pub(crate) fn forget_report_numbers(&mut self, node: NodeId) {
        let held: Vec<ReplicaId> = self.replicas_on(node).map(|replica| replica.id).collect();
        for id in held {
            if let Some(seen) = self.observed.replicas.get_mut(&id) {
                seen.seq = 0;
            }
        }
    }

    pub(crate) fn note_failure(&mut self, failed: &ReplicaRecord, node: NodeId, now: Timestamp) {
        let memory = self.settings.failure_memory;
        let failures = self.observed.failures.entry(failed.deployment_id).or_default();
        // Told again, because the commit of the first time failed.
        if !failures.unreplaced.insert(failed.id) {
            return;
        }
        if failures.unreplaced.len() > MAX_UNREPLACED {
            failures.unreplaced.pop_first();
        }
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        failures.last_at = now;
        failures.reason.clone_from(&failed.reason);
        failures.nodes.retain(|(known, at)| *known != node && now.since(*at) < memory);
        failures.nodes.push((node, now));
        if failures.nodes.len() > MAX_FAILED_NODES {
            failures.nodes.remove(0);
        }
    }

    pub(crate) fn forget_failures(&mut self, deployment: DeploymentId) {
        if let Some(failures) = self.observed.failures.get_mut(&deployment) {
            failures.in_a_row = 0;
        }
    }

    /// The failed replica that the next new one takes over from.
    pub(crate) fn take_unreplaced(&mut self, deployment: DeploymentId) -> Option<ReplicaId> {
        self.observed.failures.get_mut(&deployment)?.unreplaced.pop_first()
    }
}
