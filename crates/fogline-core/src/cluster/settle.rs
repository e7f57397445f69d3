//! The end of a batch: whatever was touched, or wanted to be looked at again, is planned.

use super::{Changes, Cluster};
use crate::assignment::{AssignedReplica, AssignedTemplate, Assignment, Want};
use crate::id::{DeploymentId, NodeId};
use crate::planner;
use crate::time::Timestamp;

impl Cluster {
    /// What time alone brings: nodes that have fallen silent, and deployments that wanted to be looked at again.
    pub fn tick(&mut self, now: Timestamp, changes: &mut Changes) {
        self.check_silence(now, changes);
        self.check_drains(now);
        while let Some((at, deployment)) = self.rechecks.first().copied().filter(|(at, _)| *at <= now) {
            self.rechecks.remove(&(at, deployment));
            self.dirty.insert(deployment);
        }
        self.tell(changes);
    }

    /// When [`Self::tick`] has something to do next, should nothing happen until then.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let silence = (!self.nodes.is_empty()).then_some(self.next_silence_check);
        self.rechecks.first().map(|(at, _)| *at).into_iter().chain(silence).chain(self.next_drain()).min()
    }

    /// Plans what is to be planned while `more` says so. True when nothing is left.
    pub fn settle(&mut self, now: Timestamp, changes: &mut Changes, more: &mut dyn FnMut() -> bool) -> bool {
        let settled = self.plan_dirty(now, changes, more);
        self.tell(changes);
        settled
    }

    fn plan_dirty(&mut self, now: Timestamp, changes: &mut Changes, more: &mut dyn FnMut() -> bool) -> bool {
        if std::mem::take(&mut self.room_appeared) {
            self.dirty.extend(self.waiting.iter().copied());
        }
        while let Some(id) = self.dirty.pop_first() {
            if !more() {
                self.dirty.insert(id);
                return false;
            }
            self.plan_now(id, now, changes);
        }
        true
    }

    /// Plans one deployment and does what the plan says.
    pub(crate) fn plan_now(&mut self, id: DeploymentId, now: Timestamp, changes: &mut Changes) {
        let plan = planner::plan(self, id, now);
        self.rechecks.extend(plan.recheck_at.map(|at| (at, id)));
        let waiting_is_news = if plan.unplaced > 0 { self.waiting.insert(id) } else { self.waiting.remove(&id) };
        if waiting_is_news {
            changes.readiness.insert(id);
        }
        self.enact(id, plan, now, changes);
    }

    /// Has a deployment planned before the batch ends.
    pub(crate) fn replan(&mut self, id: DeploymentId) {
        self.dirty.insert(id);
    }

    /// Has every deployment planned that has replicas on a node.
    pub(crate) fn replan_node(&mut self, node: NodeId) {
        let touched: Vec<DeploymentId> = self.replicas_on(node).map(|replica| replica.deployment_id).collect();
        self.dirty.extend(touched);
    }

    /// What a node should run, as the rows say it. What is stopping runs on while it is drained.
    #[must_use]
    pub fn assignment(&self, node: NodeId) -> Assignment {
        let mut assignment = Assignment::default();
        for replica in self.replicas_on(node) {
            assignment.replicas.push(AssignedReplica {
                replica_id: replica.id,
                deployment_id: replica.deployment_id,
                revision: replica.revision,
                want: if replica.status.is_live() || self.is_draining(replica.id) { Want::Run } else { Want::Stop },
            });
            let Some(deployment) = self.deployment(replica.deployment_id) else { continue };
            let Some(template) = deployment.templates.get(&replica.revision) else { continue };
            assignment.templates.entry((replica.deployment_id, replica.revision)).or_insert_with(|| AssignedTemplate {
                deployment_name: deployment.record.spec.name.clone(),
                template: template.clone(),
                image_digest: deployment.image_digests.get(&replica.revision).cloned(),
            });
        }
        let condemned = self.observed.nodes.get(&node).into_iter().flat_map(|seen| seen.condemned.values());
        assignment.replicas.extend(condemned.cloned());
        assignment
    }
}
