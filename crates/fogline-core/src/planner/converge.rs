//! Keeps the replicas of a deployment at what was asked for: replaces what was lost, adds what is missing, stops what
//! is too much, and moves replicas of an old revision or a draining node over one at a time.
//!
//! Invariants: a replica that serves is never stopped for a new one before that one serves, unless there is no room for
//! one more, and then the plan says so. A replica on a lost node is only written off once its replacement has a place:
//! a node that comes back before that has lost nothing.

use super::{Action, Plan, victims};
use crate::cluster::{Cluster, Deployment, Failures, NodeIndex};
use crate::id::ReplicaId;
use crate::placement::Siblings;
use crate::record::ReplicaRecord;
use crate::settings::Settings;
use crate::spec::Spread;
use crate::state::{DeploymentStatus, ReplicaStatus};
use crate::time::Timestamp;

pub(super) fn converge(cluster: &Cluster, deployment: &Deployment, now: Timestamp) -> Plan {
    let mut round = Round::new(cluster, deployment, now);
    round.stop_excess();
    round.replace_lost_and_missing();
    round.move_one_over();
    round.tell_progress();
    round.plan
}

/// One look at one deployment. Replicas leave the lists as the plan disposes of them.
struct Round<'a> {
    cluster: &'a Cluster,
    deployment: &'a Deployment,
    now: Timestamp,
    desired: usize,
    /// On nodes that are silent for too long.
    lost: Vec<&'a ReplicaRecord>,
    /// Of an older revision, or on a node that is being drained.
    outdated: Vec<&'a ReplicaRecord>,
    current: Vec<&'a ReplicaRecord>,
    /// On their way out, and still holding room.
    stopping: usize,
    siblings: Siblings,
    plan: Plan,
}

impl<'a> Round<'a> {
    fn new(cluster: &'a Cluster, deployment: &'a Deployment, now: Timestamp) -> Self {
        let mut round = Self {
            cluster,
            deployment,
            now,
            desired: deployment.record.target_replicas as usize,
            lost: Vec::new(),
            outdated: Vec::new(),
            current: Vec::new(),
            stopping: 0,
            siblings: cluster.siblings(deployment, now),
            plan: Plan::default(),
        };
        for replica in cluster.replicas_of(deployment) {
            if !replica.status.is_live() {
                round.stopping += 1;
            } else if cluster.is_lost(replica) {
                round.lost.push(replica);
            } else if replica.revision != deployment.record.revision || round.is_drained(replica) {
                round.outdated.push(replica);
            } else {
                round.current.push(replica);
            }
        }
        round
    }

    fn is_drained(&self, replica: &ReplicaRecord) -> bool {
        replica.node_id.and_then(|node| self.cluster.nodes().get(node)).is_some_and(|node| node.draining)
    }

    fn serves(&self, replica: &ReplicaRecord) -> bool {
        replica.status == ReplicaStatus::Running && self.cluster.is_ready(replica)
    }

    fn live(&self) -> usize {
        self.lost.len() + self.outdated.len() + self.current.len()
    }

    fn stop(&mut self, replica: &ReplicaRecord, reason: &'static str) {
        if let Some(index) = replica.node_id.and_then(|node| self.cluster.nodes().index_of(node))
            && let Some(count) = self.siblings.on_node.get_mut(&index)
        {
            *count = count.saturating_sub(1);
        }
        self.plan.actions.push(Action::Stop { replica: replica.id, reason });
    }

    /// Lost ones first, then what is old, as long as enough others serve, then what is current and too much.
    fn stop_excess(&mut self) {
        let order = self.deployment.record.spec.scale_down;
        let mut excess = self.live().saturating_sub(self.desired);
        for replica in victims::in_order(self.cluster, std::mem::take(&mut self.lost), order) {
            if excess == 0 {
                self.lost.push(replica);
                continue;
            }
            excess -= 1;
            self.stop(replica, "Scaled down");
        }
        let mut serving = self.outdated.iter().chain(&self.current).filter(|replica| self.serves(replica)).count();
        let rolling = !self.outdated.is_empty();
        for replica in victims::in_order(self.cluster, std::mem::take(&mut self.outdated), order) {
            let spare = !self.serves(replica) || serving > self.desired;
            if excess == 0 || !spare {
                self.outdated.push(replica);
                continue;
            }
            excess -= 1;
            serving -= usize::from(self.serves(replica));
            self.stop(replica, "Replaced by a replica of the current revision");
        }
        // One that is old and still serves may wait for its replacement; more than that one is too much.
        let surge = usize::from(rolling && !self.outdated.is_empty());
        let mut current_excess = excess.saturating_sub(surge);
        for replica in victims::in_order(self.cluster, std::mem::take(&mut self.current), order) {
            if current_excess == 0 {
                self.current.push(replica);
                continue;
            }
            current_excess -= 1;
            self.stop(replica, "Scaled down");
        }
    }

    fn replace_lost_and_missing(&mut self) {
        let missing = self.desired.saturating_sub(self.live());
        let wanted = missing + self.lost.len();
        if wanted == 0 {
            return;
        }
        if let Some(at) = self.not_before() {
            self.plan.recheck_at = Some(at);
            // The timer looks again; room that appears earlier would change nothing.
            return;
        }
        let places = self.place(wanted);
        let placed = places.len();
        let mut lost = std::mem::take(&mut self.lost).into_iter();
        for (at, node) in places.into_iter().enumerate() {
            let replaces = if at < missing { None } else { lost.next() };
            self.create(node, replaces.map(|replica| replica.id));
            if let Some(replica) = replaces {
                self.stop(replica, "Its node is lost");
            }
        }
        self.lost = lost.collect();
        self.plan.unplaced += u32::try_from(wanted - placed).unwrap_or(u32::MAX);
    }

    /// One replica of an old revision or a draining node at a time, and only while everything current serves.
    fn move_one_over(&mut self) {
        let settled = self.live() == self.desired && self.plan.actions.is_empty() && self.plan.recheck_at.is_none();
        if self.outdated.is_empty() || !settled || !self.lost.is_empty() {
            return;
        }
        if !self.current.iter().all(|replica| self.serves(replica)) {
            return;
        }
        // A new revision that cannot start is not tried faster than anything else that fails.
        if let Some(at) = self.not_before() {
            self.plan.recheck_at = Some(at);
            return;
        }
        let order = self.deployment.record.spec.scale_down;
        let outgoing = victims::in_order(self.cluster, self.outdated.clone(), order);
        let Some(first) = outgoing.first() else { return };
        self.look_past_outdated();
        if let Some(node) = self.place(1).first() {
            self.create(*node, Some(first.id));
            return;
        }
        // Stopping one makes room only where a replica may be put: a drained node's room is of no use.
        let makes_room = outgoing.iter().find(|replica| {
            let index = replica.node_id.and_then(|node| self.cluster.nodes().index_of(node));
            index.is_some_and(|index| self.cluster.nodes().placeable[index.0 as usize])
        });
        match makes_room {
            Some(replica) if self.stopping == 0 => {
                let reason = "No room for one more replica: one is stopped before its replacement starts";
                self.plan.actions.push(Action::Note { reason: reason.into() });
                self.stop(replica, "Makes room for its replacement");
            }
            _ => self.plan.unplaced += 1,
        }
    }

    /// Replicas that are to go anyway say nothing of where the new ones should be, or a rollout would leave them stacked.
    /// Where one a node is the most, they still hold their node.
    fn look_past_outdated(&mut self) {
        if self.deployment.record.spec.placement.spread == Spread::Required {
            return;
        }
        for replica in &self.outdated {
            let index = replica.node_id.and_then(|node| self.cluster.nodes().index_of(node));
            if let Some(count) = index.and_then(|index| self.siblings.on_node.get_mut(&index)) {
                *count = count.saturating_sub(1);
            }
        }
    }

    fn tell_progress(&mut self) {
        let record = &self.deployment.record;
        let running = self.current.iter().chain(&self.outdated).filter(|r| r.status == ReplicaStatus::Running).count();
        if record.status == DeploymentStatus::Scheduled && running >= self.desired {
            let reason = format!("All {} replicas started", self.desired).into();
            self.plan.actions.push(Action::Become { status: DeploymentStatus::Running, reason });
        }
        let all_new = self.deployment.templates.len() > 1
            && self.cluster.replicas_of(self.deployment).all(|replica| replica.revision == record.revision)
            && self.current.len() == self.desired
            && self.current.iter().all(|replica| self.serves(replica));
        if all_new {
            let reason = format!("Revision {} runs on all {} replicas", record.revision, self.desired).into();
            self.plan.actions.push(Action::Note { reason });
        }
    }

    fn place(&self, count: usize) -> Vec<NodeIndex> {
        let record = &self.deployment.record;
        let demand = self.cluster.demand(record.id, &record.spec);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.cluster.place(&demand, &self.siblings, count, self.now)
    }

    fn create(&mut self, node: NodeIndex, replaces: Option<ReplicaId>) {
        *self.siblings.on_node.entry(node).or_default() += 1;
        self.plan.actions.push(Action::Create { node, replaces });
    }

    /// The pause after failures, if it is not over yet.
    fn not_before(&self) -> Option<Timestamp> {
        let failures = self.cluster.observed().failures.get(&self.deployment.record.id)?;
        let at = failures.last_at.plus(pause_after(failures, self.cluster.settings()));
        (failures.in_a_row > 0 && self.now < at).then_some(at)
    }
}

/// Doubles with each failure in a row.
fn pause_after(failures: &Failures, settings: &Settings) -> std::time::Duration {
    let doublings = failures.in_a_row.saturating_sub(1).min(30);
    settings.replace_backoff.saturating_mul(1 << doublings).min(settings.replace_backoff_max)
}
