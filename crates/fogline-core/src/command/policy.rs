//! What people do to scaling policies.
//!
//! A policy is its owner's; one on a deployment is governed by that deployment's owner as well, whoever wrote it. What
//! its target is, is found out when it is written and kept: a policy never moves to another deployment because that one
//! has taken its name. Invariant: every write but that of a target's first policy moves the version of the target's state, so
//! that what was decided from the older policies is refused.

use std::sync::Arc;

use super::manual::check_until;
use super::{Actor, Outcome, Rejection};
use crate::cluster::{Changes, Cluster};
use crate::id::{PolicyId, UserId};
use crate::record::{
    DecisionRecord, DecisionStatus, PolicyRecord, PolicyVersionRecord, Role, ScalingStateRecord, ScalingTarget,
};
use crate::scaling::state::Memory;
use crate::scaling::{Policy, PolicySpec};
use crate::spec::{FieldError, MAX_REPLICAS};
use crate::time::Timestamp;

impl Cluster {
    pub(super) fn create_policy(
        &mut self,
        actor: &Actor,
        spec: &Arc<PolicySpec>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        actor.must_write("creating scaling policies")?;
        let owner =
            actor.user_id().ok_or(Rejection::Forbidden { action: "creating scaling policies", needed: "user" })?;
        check_spec(spec)?;
        self.check_policy_name(owner, spec)?;
        self.check_policy_quota(owner)?;
        let target = self.resolve_target(actor, &spec.target_type, spec.target_id.as_deref())?;
        check_on_target(spec, &target)?;
        self.check_metric_names(None, spec, &target)?;
        let id: PolicyId = self.new_id(now);
        let record = PolicyRecord {
            id,
            user_id: owner,
            version: 1,
            target: target.clone(),
            spec: spec.clone(),
            created_at: now,
            updated_at: now,
        };
        let is_first = self.policies_on(&target).next().is_none();
        changes.policy_versions.push(version_of(&record, actor, now));
        self.put_policy(changes, record);
        // Nothing can have been decided yet for a target that no policy was on.
        if !is_first {
            self.touch_state(&target, now, changes);
        }
        Ok(Outcome::PolicyCreated { policy_id: id })
    }

    pub(super) fn update_policy(
        &mut self,
        actor: &Actor,
        id: PolicyId,
        spec: &Arc<PolicySpec>,
        based_on: Option<u32>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        let known = self.writable_policy(actor, id, "changing scaling policies")?.clone();
        if based_on.is_some_and(|version| version != known.version) {
            return Err(Rejection::ChangedMeanwhile { kind: "scaling policy", name: known.spec.name.clone() });
        }
        check_spec(spec)?;
        if spec.name != known.spec.name {
            self.check_policy_name(known.user_id, spec)?;
        }
        if *spec == known.spec {
            return Ok(Outcome::PolicyUpdated { policy_id: id, version: known.version });
        }
        let moves = (&spec.target_type, &spec.target_id) != (&known.spec.target_type, &known.spec.target_id);
        let target = if moves {
            if !actor.is_admin() && actor.user_id() != Some(known.user_id) {
                return Err(Rejection::Forbidden {
                    action: "moving somebody else's scaling policy to another target",
                    needed: "admin",
                });
            }
            self.target_of(known.user_id, actor.is_admin(), &spec.target_type, spec.target_id.as_deref())?
        } else {
            known.target.clone()
        };
        check_on_target(spec, &target)?;
        self.check_metric_names(Some(id), spec, &target)?;
        let record = PolicyRecord {
            version: known.version + 1,
            target: target.clone(),
            spec: spec.clone(),
            updated_at: now,
            ..known.clone()
        };
        let version = record.version;
        changes.policy_versions.push(version_of(&record, actor, now));
        self.put_policy(changes, record);
        if target != known.target {
            self.left_by(id, &known.target, now, changes);
        }
        self.touch_state(&target, now, changes);
        Ok(Outcome::PolicyUpdated { policy_id: id, version })
    }

    pub(super) fn delete_policy(
        &mut self,
        actor: &Actor,
        id: PolicyId,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        self.writable_policy(actor, id, "deleting scaling policies")?;
        self.drop_policy(id, now, changes);
        Ok(Outcome::PolicyDeleted { policy_id: id })
    }

    pub(super) fn pause_policy(
        &mut self,
        actor: &Actor,
        id: PolicyId,
        until: Option<Timestamp>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        let target = self.writable_policy(actor, id, "pausing scaling policies")?.target.clone();
        check_until("until", until, now).map_err(Rejection::field)?;
        let mut memory = self.memory_of(&target);
        memory.policies.entry(id).or_default().paused_until = until;
        self.put_memory(&target, memory, now, changes);
        Ok(Outcome::PolicyPaused { policy_id: id })
    }

    /// Removes every policy on a deployment, with what it remembers: it is deleted, and another of the same name is
    /// another. In Kubernetes the autoscaler of a deleted workload stays behind and finds the next one by its name;
    /// here a policy is bound to the one deployment, and would count towards its owner's quota for nothing.
    pub(super) fn drop_policies_on(&mut self, target: &ScalingTarget, now: Timestamp, changes: &mut Changes) {
        let on: Vec<PolicyId> = self.policies_on(target).map(|policy| policy.id).collect();
        for id in on {
            self.drop_policy(id, now, changes);
        }
    }

    /// Removes all that hangs on a user who is going: their policies, and with the last one on it a target's state.
    pub(super) fn drop_policies_of(&mut self, owner: UserId, now: Timestamp, changes: &mut Changes) {
        let owned: Vec<PolicyId> = self.policies_of(owner).map(|policy| policy.id).collect();
        for id in owned {
            self.drop_policy(id, now, changes);
        }
    }

    fn drop_policy(&mut self, id: PolicyId, now: Timestamp, changes: &mut Changes) {
        let Some(target) = self.policy(id).map(|policy| policy.target.clone()) else { return };
        self.remove_policy(changes, id);
        self.left_by(id, &target, now, changes);
    }

    /// What a target keeps of a policy that is on it no more. Without any policy left it keeps nothing, and nobody
    /// carries out what was decided for it.
    fn left_by(&mut self, id: PolicyId, target: &ScalingTarget, now: Timestamp, changes: &mut Changes) {
        if self.policies_on(target).next().is_some() {
            let mut memory = self.memory_of(target);
            memory.policies.remove(&id);
            self.put_memory(target, memory, now, changes);
            return;
        }
        if let Some(pending) = self.pending_on(target).cloned() {
            let record = DecisionRecord {
                status: DecisionStatus::Failed,
                error: Some("the last policy on the target was deleted before it was carried out".to_owned()),
                completed_at: Some(now),
                ..pending
            };
            self.put_decision(changes, record);
        }
        if self.scaling_state(target).is_some() {
            self.remove_scaling_state(changes, target);
        }
    }

    /// A policy that the actor may change.
    fn writable_policy(&self, actor: &Actor, id: PolicyId, action: &'static str) -> Result<&PolicyRecord, Rejection> {
        let policy = self.visible_policy(actor, id)?;
        actor.must_write(action)?;
        Ok(policy)
    }

    fn check_policy_name(&self, owner: UserId, spec: &PolicySpec) -> Result<(), Rejection> {
        match self.policy_named(owner, &spec.name) {
            Some(_) => Err(Rejection::NameTaken { kind: "scaling policy", name: spec.name.clone() }),
            None => Ok(()),
        }
    }

    /// All policies on a target are shown one reading a name, so a name means one thing there.
    fn check_metric_names(
        &self,
        own: Option<PolicyId>,
        spec: &PolicySpec,
        target: &ScalingTarget,
    ) -> Result<(), Rejection> {
        let others = || self.policies_on(target).filter(|policy| Some(policy.id) != own);
        let errors: Vec<FieldError> = spec
            .metrics
            .iter()
            .filter_map(|(name, metric)| {
                let another =
                    |policy: &&PolicyRecord| policy.spec.metrics.get(name).is_some_and(|theirs| theirs != metric);
                let other = others().find(another)?;
                let message = format!("is something else in the policy {} on the same target", other.spec.name);
                Some(FieldError::new(format!("metrics.{name}"), message, "the same source, or another name"))
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(Rejection::Invalid(errors)) }
    }

    fn check_policy_quota(&self, owner: UserId) -> Result<(), Rejection> {
        let user = self.known_user(owner)?;
        let allowed = self.settings().quota(user.tier).policies.filter(|_| user.role != Role::Admin);
        let would_be = u32::try_from(self.policies_of(owner).count()).unwrap_or(u32::MAX).saturating_add(1);
        match allowed.filter(|allowed| would_be > *allowed) {
            Some(allowed) => {
                let what = "your number of scaling policies";
                Err(Rejection::QuotaExceeded { what, would_be, tier: user.tier.as_str(), allowed })
            }
            None => Ok(()),
        }
    }

    /// What a target remembers; nothing where nothing is kept yet.
    pub(super) fn memory_of(&self, target: &ScalingTarget) -> Memory {
        self.scaling_state(target).map_or_else(Memory::default, |state| Memory::clone(&state.memory))
    }

    /// The next version of a target's state, with this memory.
    pub(super) fn put_memory(&mut self, target: &ScalingTarget, memory: Memory, now: Timestamp, changes: &mut Changes) {
        let known = self.scaling_state(target);
        let record = ScalingStateRecord {
            target: target.clone(),
            version: known.map_or(0, |state| state.version) + 1,
            replicas: known.and_then(|state| state.replicas),
            memory: memory.into(),
            updated_at: now,
        };
        self.put_scaling_state(changes, record);
    }

    /// Makes what was decided from the target as it was worthless. What a policy that acts no more remembers would be out
    /// of date when it acts again.
    fn touch_state(&mut self, target: &ScalingTarget, now: Timestamp, changes: &mut Changes) {
        let mut memory = self.memory_of(target);
        memory.keep_only(|id| self.acts_on(target, *id), now);
        self.put_memory(target, memory, now, changes);
    }
}

fn check_spec(spec: &Arc<PolicySpec>) -> Result<(), Rejection> {
    let id = PolicyId::from_uuid(uuid::Uuid::nil());
    Policy::new(id, spec.clone()).map(drop).map_err(Rejection::Invalid)
}

/// What only the resolved target tells: a `proxy` that turned out to be a deployment keeps a deployment's limits.
fn check_on_target(spec: &PolicySpec, target: &ScalingTarget) -> Result<(), Rejection> {
    let ScalingTarget::Deployment(_) = target else { return Ok(()) };
    let mut errors = Vec::new();
    if spec.max_replicas > MAX_REPLICAS {
        let message = format!("{} is out of range", spec.max_replicas);
        errors.push(FieldError::new("max_replicas", message, format!("1 to {MAX_REPLICAS}, for a deployment")));
    }
    if spec.callback_url.is_some() {
        let message = "is set, but the target is a deployment of this system";
        errors.push(FieldError::new("callback_url", message, "none: it is scaled directly"));
    }
    if errors.is_empty() { Ok(()) } else { Err(Rejection::Invalid(errors)) }
}

fn version_of(record: &PolicyRecord, actor: &Actor, now: Timestamp) -> PolicyVersionRecord {
    PolicyVersionRecord {
        policy_id: record.id,
        version: record.version,
        spec: record.spec.clone(),
        created_at: now,
        created_by: actor.user_id(),
    }
}
