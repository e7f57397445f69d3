//! The only way to change a durable row: the row, the indexes and the record of the change move together.
//!
//! Invariant: [`Cluster::revert`] after a batch leaves rows and indexes exactly as they were before it. Tests: the
//! property in `tests/it`.

use std::collections::BTreeSet;

use super::{Changes, Cluster, Deployment};
use crate::id::{DeploymentId, NodeId, PolicyId, ReplicaId, SessionId, UserId};
use crate::image_digest::ImageDigest;
use crate::record::{
    DecisionRecord, DeploymentRecord, NodeRecord, PolicyRecord, ReplicaRecord, ScalingStateRecord, ScalingTarget,
    SessionRecord, UserRecord,
};
use crate::state::DeploymentStatus;

impl Cluster {
    pub(crate) fn put_user(&mut self, changes: &mut Changes, record: UserRecord) {
        let before = self.users.get(&record.id).cloned();
        changes.users.record(record.id, before, Some(record.clone()));
        self.set_user(record.id, Some(record));
    }

    pub(crate) fn remove_user(&mut self, changes: &mut Changes, id: UserId) {
        changes.users.record(id, self.users.get(&id).cloned(), None);
        self.set_user(id, None);
    }

    pub(crate) fn put_session(&mut self, changes: &mut Changes, record: SessionRecord) {
        let before = self.sessions.get(&record.id).cloned();
        changes.sessions.record(record.id, before, Some(record.clone()));
        self.set_session(record.id, Some(record));
    }

    pub(crate) fn remove_session(&mut self, changes: &mut Changes, id: SessionId) {
        changes.sessions.record(id, self.sessions.get(&id).cloned(), None);
        self.set_session(id, None);
    }

    pub(crate) fn put_node(&mut self, changes: &mut Changes, record: NodeRecord) {
        let before = self.nodes.get(record.id).cloned();
        changes.nodes.record(record.id, before, Some(record.clone()));
        self.set_node(record.id, Some(record));
    }

    pub(crate) fn remove_node(&mut self, changes: &mut Changes, id: NodeId) {
        changes.nodes.record(id, self.nodes.get(id).cloned(), None);
        self.set_node(id, None);
    }

    pub(crate) fn put_deployment(&mut self, changes: &mut Changes, record: DeploymentRecord) {
        self.note_lost_routes(&record);
        let before = self.deployments.get(&record.id).map(|deployment| deployment.record.clone());
        changes.deployments.record(record.id, before, Some(record.clone()));
        self.set_deployment(record.id, Some(record));
    }

    /// Removes the row itself: a purge. A user's delete is a status, not this.
    pub(crate) fn remove_deployment(&mut self, changes: &mut Changes, id: DeploymentId) {
        let before = self.deployments.get(&id);
        for (revision, digest) in before.into_iter().flat_map(|deployment| &deployment.image_digests) {
            changes.image_digests.record((id, *revision), Some(digest.clone()), None);
        }
        changes.deployments.record(id, before.map(|deployment| deployment.record.clone()), None);
        self.set_deployment(id, None);
    }

    /// Settles what the image of a revision is.
    pub(crate) fn put_image_digest(
        &mut self,
        changes: &mut Changes,
        id: DeploymentId,
        revision: u32,
        digest: ImageDigest,
    ) {
        let before = self.deployments.get(&id).and_then(|deployment| deployment.image_digests.get(&revision).cloned());
        changes.image_digests.record((id, revision), before, Some(digest.clone()));
        self.set_image_digest(id, revision, Some(digest));
    }

    pub(crate) fn put_replica(&mut self, changes: &mut Changes, record: ReplicaRecord) {
        let before = self.replicas.get(&record.id).cloned();
        changes.replicas.record(record.id, before, Some(record.clone()));
        self.set_replica(record.id, Some(record));
    }

    pub(crate) fn put_policy(&mut self, changes: &mut Changes, record: PolicyRecord) {
        let before = self.scaling.policy(record.id).cloned();
        changes.policies.record(record.id, before, Some(record.clone()));
        self.scaling.set_policy(record.id, Some(record));
    }

    /// Removes a policy, and its versions with it.
    pub(crate) fn remove_policy(&mut self, changes: &mut Changes, id: PolicyId) {
        changes.policies.record(id, self.scaling.policy(id).cloned(), None);
        changes.policy_versions.retain(|version| version.policy_id != id);
        self.scaling.set_policy(id, None);
    }

    pub(crate) fn put_scaling_state(&mut self, changes: &mut Changes, record: ScalingStateRecord) {
        let before = self.scaling.state(&record.target).cloned();
        changes.scaling_states.record(record.target.clone(), before, Some(record.clone()));
        self.scaling.set_state(&record.target.clone(), Some(record));
    }

    pub(crate) fn remove_scaling_state(&mut self, changes: &mut Changes, target: &ScalingTarget) {
        changes.scaling_states.record(target.clone(), self.scaling.state(target).cloned(), None);
        self.scaling.set_state(target, None);
    }

    /// Adds a decision, or ends a pending one.
    pub(crate) fn put_decision(&mut self, changes: &mut Changes, record: DecisionRecord) {
        let before = self.scaling.decision(record.id).cloned();
        changes.decisions.record(record.id, before, Some(record.clone()));
        self.scaling.set_decision(record.id, Some(record));
    }

    /// Takes a batch back, because its commit failed. What it touched is planned anew.
    pub fn revert(&mut self, changes: &Changes) {
        for (id, edit) in changes.replicas.iter().rev().filter(|(_, edit)| edit.before.is_none()) {
            self.dirty.extend(edit.after.as_ref().map(|replica| replica.deployment_id));
            self.set_replica(id, None);
        }
        for (id, edit) in changes.users.iter().rev() {
            self.set_user(id, edit.before.clone());
        }
        for (id, edit) in changes.sessions.iter().rev() {
            self.set_session(id, edit.before.clone());
        }
        for (id, edit) in changes.nodes.iter().rev() {
            self.set_node(id, edit.before.clone());
        }
        for (id, edit) in changes.deployments.iter().rev() {
            self.dirty.insert(id);
            self.set_deployment(id, edit.before.clone());
        }
        for (id, edit) in changes.replicas.iter().rev().filter(|(_, edit)| edit.before.is_some()) {
            self.dirty.extend(edit.before.as_ref().map(|replica| replica.deployment_id));
            self.set_replica(id, edit.before.clone());
            // The report that was taken back will come again, and must be news then.
            if let Some(seen) = self.observed.replicas.get_mut(&id) {
                seen.seq = 0;
            }
        }
        for ((id, revision), edit) in changes.image_digests.iter().rev() {
            self.set_image_digest(id, revision, edit.before.clone());
        }
        for (id, _) in changes.deployments.iter() {
            self.drop_unused_templates(id);
        }
        for (id, edit) in changes.policies.iter().rev() {
            self.scaling.set_policy(id, edit.before.clone());
        }
        for (target, edit) in changes.scaling_states.iter().rev() {
            self.scaling.set_state(&target, edit.before.clone());
        }
        for (id, edit) in changes.decisions.iter().rev() {
            self.scaling.set_decision(id, edit.before.clone());
        }
        self.untold.released.extend(&changes.released);
        self.untold.readiness.extend(&changes.readiness);
        // A node that was about to be declared lost has to be looked at again.
        self.next_silence_check = crate::time::Timestamp::EPOCH;
        self.room_appeared = true;
    }

    pub(super) fn set_user(&mut self, id: UserId, record: Option<UserRecord>) {
        if let Some(old) = self.users.remove(&id) {
            self.usernames.remove(&old.username);
        }
        if let Some(record) = record {
            self.usernames.insert(record.username.clone(), id);
            self.users.insert(id, record);
        }
    }

    pub(super) fn set_session(&mut self, id: SessionId, record: Option<SessionRecord>) {
        // An ended session has nothing left to decide; its row alone remembers it.
        match record.filter(|record| record.revoked_at.is_none()) {
            Some(record) => self.sessions.insert(id, record),
            None => self.sessions.remove(&id),
        };
    }

    pub(super) fn set_node(&mut self, id: NodeId, record: Option<NodeRecord>) {
        match record {
            Some(record) => {
                self.nodes.put(record);
                self.room_appeared = true;
            }
            None => self.nodes.remove(id),
        }
    }

    pub(super) fn set_deployment(&mut self, id: DeploymentId, record: Option<DeploymentRecord>) {
        if let Some(old) = self.deployments.get(&id) {
            let key = (old.record.user_id, old.record.spec.name.clone());
            if self.names.get(&key) == Some(&id) {
                self.names.remove(&key);
            }
            if let Some(owned) = self.by_owner.get_mut(&key.0) {
                owned.remove(&id);
                if owned.is_empty() {
                    self.by_owner.remove(&key.0);
                }
            }
        }
        let claim = record.as_ref().filter(|record| record.status != DeploymentStatus::Deleted);
        let since = claim.filter(|record| !record.spec.routes.is_empty()).map(|record| record.updated_at);
        self.routes.set(id, claim.map(|record| (record.user_id, &record.spec)));
        self.proxies.count(id, since);
        let Some(record) = record else {
            self.deployments.remove(&id);
            return;
        };
        self.by_owner.entry(record.user_id).or_default().insert(id);
        if record.status != DeploymentStatus::Deleted {
            self.names.insert((record.user_id, record.spec.name.clone()), id);
        }
        let template = record.spec.template();
        let revision = record.revision;
        let stated = stated_digest(&record);
        match self.deployments.get_mut(&id) {
            Some(known) => {
                if known.templates.get(&revision).is_none_or(|old| **old != template) {
                    known.templates.insert(revision, template.into());
                }
                known.image_digests.extend(stated.map(|digest| (revision, digest)));
                known.record = record;
            }
            None => {
                let templates = [(revision, template.into())].into();
                let image_digests = stated.map(|digest| (revision, digest)).into_iter().collect();
                let deployment = Deployment { record, templates, image_digests, replicas: Default::default() };
                self.deployments.insert(id, deployment);
            }
        }
    }

    /// Requests that came in by routes that are taken away may still be with the replicas that are there.
    fn note_lost_routes(&mut self, record: &DeploymentRecord) {
        let Some(known) = self.deployments.get(&record.id) else { return };
        if record.spec.routes.is_empty() && !known.record.spec.routes.is_empty() {
            let reached = |id: &&ReplicaId| self.replicas.get(id).is_some_and(|replica| replica.endpoint.is_some());
            self.drains.note_reached(known.replicas.iter().filter(reached).copied());
        }
    }

    pub(super) fn set_image_digest(&mut self, id: DeploymentId, revision: u32, digest: Option<ImageDigest>) {
        let Some(deployment) = self.deployments.get_mut(&id) else { return };
        match digest {
            Some(digest) => deployment.image_digests.insert(revision, digest),
            None => deployment.image_digests.remove(&revision),
        };
    }

    /// Lets go of what a committed batch has made superfluous. Not before the commit, or it could not be taken back.
    pub fn committed(&mut self, changes: &Changes) {
        for id in changes.nodes.removals() {
            self.observed.nodes.remove(&id);
        }
        let ended = changes.replicas.upserts().filter(|replica| replica.status.is_terminal());
        let mut touched: BTreeSet<DeploymentId> = changes.deployments.iter().map(|(id, _)| id).collect();
        for replica in ended {
            self.observed.replicas.remove(&replica.id);
            self.drains.forget(replica.id);
            touched.insert(replica.deployment_id);
        }
        for id in touched {
            let gone = self.deployments.get(&id).is_none_or(|deployment| {
                deployment.record.status == DeploymentStatus::Deleted && deployment.replicas.is_empty()
            });
            if gone {
                self.set_deployment(id, None);
                self.observed.failures.remove(&id);
                self.waiting.remove(&id);
            } else {
                self.drop_unused_templates(id);
            }
        }
    }

    /// Keeps the template of the current revision, and those that replicas still run.
    fn drop_unused_templates(&mut self, id: DeploymentId) {
        let Some(deployment) = self.deployments.get_mut(&id) else { return };
        let running = deployment.replicas.iter().filter_map(|id| Some(self.replicas.get(id)?.revision));
        let used: BTreeSet<u32> = running.chain([deployment.record.revision]).collect();
        deployment.templates.retain(|revision, _| used.contains(revision));
        deployment.image_digests.retain(|revision, _| used.contains(revision));
    }

    pub(super) fn set_replica(&mut self, id: ReplicaId, record: Option<ReplicaRecord>) {
        let record = record.filter(|record| !record.status.is_terminal());
        let was = self.replicas.get(&id).map(|replica| replica.status);
        match (self.replicas.get_mut(&id), record) {
            // Room is held from the first state to the last, so a step in between moves nothing.
            (Some(old), Some(new)) if old.node_id == new.node_id && old.resources == new.resources => *old = new,
            (Some(_), record) => {
                self.drop_replica(id);
                if let Some(record) = record {
                    self.hold_replica(record);
                }
            }
            (None, Some(record)) => self.hold_replica(record),
            (None, None) => {}
        }
        self.follow_drain(id, was);
    }

    fn hold_replica(&mut self, record: ReplicaRecord) {
        let id = record.id;
        if let Some(index) = record.node_id.and_then(|node| self.nodes.index_of(node)) {
            self.nodes.reserve(index, id, record.resources, record.host_port);
        }
        if let Some(deployment) = self.deployments.get_mut(&record.deployment_id) {
            deployment.replicas.insert(id);
        }
        self.replicas.insert(id, record);
    }

    fn drop_replica(&mut self, id: ReplicaId) {
        let Some(old) = self.replicas.remove(&id) else { return };
        if let Some(index) = old.node_id.and_then(|node| self.nodes.index_of(node)) {
            self.nodes.release(index, id, old.resources, old.host_port);
        }
        if let Some(deployment) = self.deployments.get_mut(&old.deployment_id) {
            deployment.replicas.remove(&id);
        }
        self.room_appeared = true;
    }
}

/// The digest that the image of a spec names itself: nobody has to find it out.
pub(crate) fn stated_digest(record: &DeploymentRecord) -> Option<ImageDigest> {
    record.spec.container_image.as_deref().and_then(ImageDigest::of_reference)
}
