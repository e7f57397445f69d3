//! What people do to deployments.
//!
//! Admission is all or nothing and happens here, in the batch of the command: a deploy that does not fit fails (or
//! waits), a scale-up that does not fit is refused. From then on the planner keeps it so.

use std::sync::Arc;

use super::{Actor, ByHand, Outcome, Rejection};
use crate::cluster::{Changes, Cluster, Deployment, NodeIndex, RevisionRecord, stated_digest};
use crate::id::{DeploymentId, ReplicaId, UserId};
use crate::record::{DeploymentRecord, Role, ScalingTarget};
use crate::spec::{DeploymentSpec, FieldError, MIN_REPLICAS, validate_command, validate_replicas};
use crate::state::{DeploymentStatus, ReplicaStatus};
use crate::time::Timestamp;

impl Cluster {
    pub(super) fn deploy(
        &mut self,
        actor: &Actor,
        spec: &Arc<DeploymentSpec>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        actor.must_write("deploying")?;
        let owner = actor.user_id().ok_or(Rejection::Forbidden { action: "deploying", needed: "user" })?;
        spec.validate().map_err(Rejection::Invalid)?;
        if self.deployment_named(owner, &spec.name).is_some() {
            return Err(Rejection::NameTaken { kind: "deployment", name: spec.name.clone() });
        }
        self.check_routes(actor, owner, None, spec)?;
        self.check_quota(owner, None, spec.replicas)?;
        let id: DeploymentId = self.new_id(now);
        let record = DeploymentRecord {
            id,
            user_id: owner,
            status: DeploymentStatus::Pending,
            target_replicas: spec.replicas,
            revision: 1,
            history_seq: 0,
            spec: spec.clone(),
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        changes.revisions.push(revision_of(&record, Some(owner), now));
        self.put_deployment(changes, record);
        self.write_history(id, "none", Some(owner), "Deployment created by user", now, changes);
        self.plan_now(id, now, changes);
        Ok(Outcome::Deployed { deployment_id: id, replicas: spec.replicas })
    }

    pub(super) fn scale_deployment(
        &mut self,
        actor: &Actor,
        id: DeploymentId,
        replicas: i64,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        let deployment = self.writable_deployment(actor, id, "scaling")?;
        let target = ScalingTarget::Deployment(id);
        if self.is_owned(&target) {
            let status = deployment.record.status;
            let count = ByHand { replicas, ..ByHand::default() };
            let set = self.set_by_hand(actor, &target, &count, now, changes)?;
            return Ok(Outcome::Scaled { deployment_id: id, status, from: set.from, to: set.to });
        }
        let to = validate_replicas("replicas", replicas).map_err(Rejection::field)?;
        let record = deployment.record.clone();
        let (from, status) = (record.target_replicas, record.status);
        if status == DeploymentStatus::Failed {
            return Err(Rejection::WrongStatus { action: "scale", status });
        }
        if to != from {
            let spec = Arc::new(DeploymentSpec { replicas: to, ..(*record.spec).clone() });
            self.resize(actor, record, spec, None, now, changes)?;
        }
        Ok(Outcome::Scaled { deployment_id: id, status, from, to })
    }

    pub(super) fn update_deployment(
        &mut self,
        actor: &Actor,
        id: DeploymentId,
        spec: &Arc<DeploymentSpec>,
        based_on: Option<&DeploymentSpec>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        let deployment = self.writable_deployment(actor, id, "updating")?;
        // A rollout never changes the count that a policy owns, nor does one that was made from an older count fail by it.
        let kept = self.is_owned(&ScalingTarget::Deployment(id)).then_some(deployment.record.target_replicas);
        let asleep = kept == Some(0) && spec.replicas == 0;
        let counted = |spec: &DeploymentSpec, replicas| DeploymentSpec { replicas, ..spec.clone() };
        if asleep { counted(spec, MIN_REPLICAS).validate() } else { spec.validate() }.map_err(Rejection::Invalid)?;
        let spec = &kept.map_or_else(|| spec.clone(), |kept| Arc::new(counted(spec, kept)));
        let made_from = based_on.map(|based_on| kept.map_or(based_on.clone(), |kept| counted(based_on, kept)));
        if made_from.is_some_and(|made_from| made_from != *deployment.record.spec) {
            return Err(Rejection::ChangedMeanwhile { kind: "deployment", name: spec.name.clone() });
        }
        let mut record = deployment.record.clone();
        if spec.name != record.spec.name {
            let error =
                FieldError::new("name", "cannot be changed", format!("{:?}, or a new deployment", record.spec.name));
            return Err(Rejection::field(error));
        }
        self.check_routes(actor, record.user_id, Some(id), spec)?;
        let replaced = spec.template() != record.spec.template();
        if replaced && !self.fits_somewhere(&self.demand(id, spec)) && record.status.wants_replicas() {
            return Err(Rejection::Insufficient { action: "update", needed: 1, found: 0 });
        }
        let rolling = replaced && !deployment.replicas.is_empty();
        if replaced {
            record.revision += 1;
        }
        let (status, revision) = (record.status, record.revision);
        if *record.spec != **spec {
            let old_template = deployment.record.spec.template();
            self.resize(actor, record, spec.clone(), None, now, changes)?;
            if replaced {
                let runs_on = if rolling { ", replicas are replaced one at a time" } else { "" };
                let reason = format!(
                    "Updated to revision {revision}: {}{runs_on}",
                    changed_parts(&old_template, &spec.template())
                );
                self.write_history(id, status.as_str(), actor.user_id(), reason, now, changes);
            }
        }
        Ok(Outcome::DeploymentUpdated { deployment_id: id, status, replicas: spec.replicas, revision, rolling })
    }

    /// Takes over a spec whose number of replicas may be another. What is new beyond the old target must fit now.
    pub(super) fn resize(
        &mut self,
        actor: &Actor,
        record: DeploymentRecord,
        spec: Arc<DeploymentSpec>,
        why: Option<&str>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Rejection> {
        let added = spec.replicas.saturating_sub(record.target_replicas);
        if added > 0 {
            self.check_quota(record.user_id, Some(record.id), spec.replicas)?;
        }
        let places = self.places_for(&record, &spec, now);
        let found = u32::try_from(places.len()).unwrap_or(u32::MAX);
        if found < added && record.status.wants_replicas() {
            return Err(Rejection::Insufficient { action: "scale-up", needed: added, found });
        }
        self.take_over(actor, record, spec, places, why, now, changes);
        Ok(())
    }

    /// Where the replicas go that `spec` has beyond the present target; fewer where no more fit, none where none should run.
    pub(super) fn places_for(
        &self,
        record: &DeploymentRecord,
        spec: &DeploymentSpec,
        now: Timestamp,
    ) -> Vec<NodeIndex> {
        let added = spec.replicas.saturating_sub(record.target_replicas);
        match self.deployment(record.id) {
            Some(deployment) if added > 0 && record.status.wants_replicas() => {
                self.place(&self.demand(record.id, spec), &self.siblings(deployment, now), added, now)
            }
            _ => Vec::new(),
        }
    }

    /// Takes over a spec and puts what is new in its places.
    #[expect(clippy::too_many_arguments, reason = "what is taken over, and the circumstances")]
    pub(super) fn take_over(
        &mut self,
        actor: &Actor,
        record: DeploymentRecord,
        spec: Arc<DeploymentSpec>,
        places: Vec<NodeIndex>,
        why: Option<&str>,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        let (id, status) = (record.id, record.status);
        let (from, to) = (record.target_replicas, spec.replicas);
        let revised = self.deployment(id).is_some_and(|known| known.record.revision != record.revision);
        let record = DeploymentRecord { target_replicas: to, spec, updated_at: now, ..record };
        if revised {
            // What failed before may be just what this mends.
            self.forget_failures(id);
            changes.revisions.push(revision_of(&record, actor.user_id(), now));
        }
        self.put_deployment(changes, record);
        for node in places {
            self.create_replica(id, node, None, now, changes);
        }
        let stopped = status == DeploymentStatus::Stopped;
        let reason = match to.cmp(&from) {
            std::cmp::Ordering::Equal => None,
            _ if stopped => Some(format!("Target set from {from} to {to} replicas while stopped")),
            std::cmp::Ordering::Greater => {
                Some(format!("Scaled up from {from} to {to} replicas ({} added)", to - from))
            }
            std::cmp::Ordering::Less => {
                Some(format!("Scaled down from {from} to {to} replicas ({} removed)", from - to))
            }
        };
        if let Some(reason) = reason {
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            self.write_history(id, status.as_str(), actor.user_id(), format!("{reason}{why}"), now, changes);
        }
        self.replan(id);
    }

    pub(super) fn stop_deployment(
        &mut self,
        actor: &Actor,
        id: DeploymentId,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        let deployment = self.writable_deployment(actor, id, "stopping")?;
        let status = deployment.record.status;
        let live = self.replicas_of(deployment).filter(|replica| replica.status.is_live()).count();
        if status != DeploymentStatus::Stopped {
            if !status.may_become(DeploymentStatus::Stopped) {
                return Err(Rejection::WrongStatus { action: "stop", status });
            }
            self.become_status(id, DeploymentStatus::Stopped, actor.user_id(), "Stopped by user", now, changes);
        }
        Ok(Outcome::DeploymentStopped { deployment_id: id, replicas: u32::try_from(live).unwrap_or(u32::MAX) })
    }

    pub(super) fn start_deployment(
        &mut self,
        actor: &Actor,
        id: DeploymentId,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        let record = self.writable_deployment(actor, id, "starting")?.record.clone();
        if record.status.may_become(DeploymentStatus::Pending) {
            if record.status == DeploymentStatus::Failed {
                // A failed one did not count; now it does again.
                self.check_quota(record.user_id, Some(id), record.target_replicas)?;
            }
            self.become_status(id, DeploymentStatus::Pending, actor.user_id(), "Started by user", now, changes);
            self.plan_now(id, now, changes);
        }
        let status = match record.status {
            running if running.wants_replicas() => running,
            _ => DeploymentStatus::Pending,
        };
        Ok(Outcome::DeploymentStarted { deployment_id: id, status, replicas: record.target_replicas })
    }

    pub(super) fn delete_deployment(
        &mut self,
        actor: &Actor,
        id: DeploymentId,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        self.writable_deployment(actor, id, "deleting")?;
        self.become_status(id, DeploymentStatus::Deleted, actor.user_id(), "Deleted by user", now, changes);
        self.drop_policies_on(&ScalingTarget::Deployment(id), now, changes);
        Ok(Outcome::DeploymentDeleted { deployment_id: id })
    }

    /// Whether somebody may have a command run in a replica.
    pub(super) fn run_command(
        &self,
        actor: &Actor,
        id: DeploymentId,
        replica_id: ReplicaId,
        command: &[String],
    ) -> Result<Outcome, Rejection> {
        self.writable_deployment(actor, id, "running commands in replicas")?;
        let replica = self.replica(replica_id).filter(|replica| replica.deployment_id == id);
        let replica = replica.ok_or_else(|| Rejection::NotFound { kind: "replica", id: replica_id.to_string() })?;
        validate_command("command", command).map_err(Rejection::Invalid)?;
        if !matches!(replica.status, ReplicaStatus::Starting | ReplicaStatus::Running) {
            return Err(Rejection::NotRunning { replica: replica_id, status: replica.status });
        }
        Ok(Outcome::Noted)
    }

    /// Whether a user may have one more deployment (`existing` is none), or an existing one with so many replicas.
    pub(super) fn check_quota(
        &self,
        owner: UserId,
        existing: Option<DeploymentId>,
        replicas: u32,
    ) -> Result<(), Rejection> {
        let user = self.known_user(owner)?;
        if user.role == Role::Admin {
            return Ok(());
        }
        let quota = self.settings().quota(user.tier);
        let kept = |deployment: &&Deployment| deployment.record.status != DeploymentStatus::Deleted;
        let deployments = u32::try_from(self.deployments_of(owner).filter(kept).count()).unwrap_or(u32::MAX);
        let taken = self.replicas_taken_beside(owner, existing);
        let wanted = [
            ("your number of deployments", deployments.saturating_add(1), existing.is_none(), quota.deployments),
            ("your number of replicas", taken.saturating_add(replicas), true, quota.replicas),
        ];
        for (what, would_be, applies, allowed) in wanted {
            if let Some(allowed) = allowed.filter(|allowed| applies && would_be > *allowed) {
                return Err(Rejection::QuotaExceeded { what, would_be, tier: user.tier.as_str(), allowed });
            }
        }
        Ok(())
    }
}

impl Cluster {
    /// Replicas of a user that leave no room in the quota for those of `existing`: of all others, and its own that are on
    /// their way out.
    fn replicas_taken_beside(&self, owner: UserId, existing: Option<DeploymentId>) -> u32 {
        let on_their_way_out = existing
            .and_then(|id| self.deployment(id))
            .map_or(0, |deployment| self.replicas_of(deployment).filter(|replica| !replica.status.is_live()).count());
        let taken = self.replicas_taken_by(owner, existing);
        taken.saturating_add(u32::try_from(on_their_way_out).unwrap_or(u32::MAX))
    }

    /// The most replicas that a deployment may have by its owner's quota, with the tier; nothing where there is no limit.
    pub(super) fn replicas_allowed(&self, owner: UserId, id: DeploymentId) -> Option<(u32, &'static str)> {
        let user = self.user(owner).filter(|user| user.role != Role::Admin)?;
        let allowed = self.settings().quota(user.tier).replicas?;
        Some((allowed.saturating_sub(self.replicas_taken_beside(owner, Some(id))), user.tier.as_str()))
    }
}

fn revision_of(record: &DeploymentRecord, by: Option<UserId>, now: Timestamp) -> RevisionRecord {
    RevisionRecord {
        deployment_id: record.id,
        revision: record.revision,
        spec: record.spec.clone(),
        image_digest: stated_digest(record),
        created_at: now,
        created_by: by,
    }
}

/// Names what differs between two templates, for the history.
fn changed_parts(old: &crate::spec::ReplicaTemplate, new: &crate::spec::ReplicaTemplate) -> String {
    let parts = [
        ("runtime", old.runtime != new.runtime),
        ("image", old.container_image != new.container_image),
        ("command", old.command != new.command),
        ("environment", old.env != new.env),
        ("working directory", old.working_dir != new.working_dir),
        ("resources", old.resources != new.resources),
        ("port", (old.port, old.host_port) != (new.port, new.host_port)),
        ("container", old.container != new.container),
        ("health", old.health != new.health),
        ("warm-up", old.warm_up != new.warm_up),
        ("stopping", (old.grace_s, old.drain_timeout_s) != (new.grace_s, new.drain_timeout_s)),
    ];
    parts.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
