//! A target as an evaluation is shown it.
//!
//! Invariant: surge and not-ready replicas of a rollout are no capacity, and what fails to start is no load.

use std::sync::Arc;

use super::OnTarget;
use crate::cluster::{Cluster, Deployment};
use crate::id::{DecisionId, PolicyId, UserId};
use crate::record::{ReplicaRecord, ScalingTarget};
use crate::scaling::Policy;
use crate::scaling::inputs::ReplicaCounts;
use crate::scaling::state::Memory;
use crate::state::{DeploymentStatus, ReplicaStatus};
use crate::time::Timestamp;

/// The count of a target outside that nobody has set or reported yet. One below the policies' minimum, it makes the
/// first evaluation tell the target what it should have.
const UNTOLD_REPLICAS: u32 = 1;
/// Restarts in place after which a replica that is not ready counts as one that fails, though it was ready once.
const LOOPING_RESTARTS: u32 = 3;

/// A target as an evaluation needs it.
#[derive(Clone, Debug)]
pub struct TargetView {
    /// Which.
    pub target: ScalingTarget,
    /// The enabled policies on it that act, in the order of their ids.
    pub policies: Arc<[Policy]>,
    /// The enabled policies on it that only record, each to be evaluated alone.
    pub shadows: Arc<[Policy]>,
    /// Whose policy the first one is.
    pub owner: UserId,
    /// The version of its state; 0 where there is none yet.
    pub version: u64,
    /// What must survive.
    pub memory: Arc<Memory>,
    /// Its replicas.
    pub counts: ReplicaCounts,
    /// Whether a deployment that must not be scaled now: stopped, failed or deleted.
    pub dormant: bool,
    /// A decision that waits for its executor; until it has ended, no other that changes the count is accepted.
    pub pending: Option<DecisionId>,
}

impl Cluster {
    /// Every target with an enabled policy on it, in no order. Cheap: a look at each of its replicas, nothing copied.
    #[must_use]
    pub fn scaling_targets(&self) -> Vec<TargetView> {
        let wanted = self.scaling.targets.iter().filter(|(_, on)| !on.acting.is_empty() || !on.shadows.is_empty());
        let nothing = Arc::new(Memory::default());
        wanted.filter_map(|(target, on)| self.view(target, on, &nothing)).collect()
    }

    /// One target, where a policy is on it, enabled or not.
    #[must_use]
    pub fn scaling_target(&self, target: &ScalingTarget) -> Option<TargetView> {
        self.view(target, self.scaling.targets.get(target)?, &Arc::new(Memory::default()))
    }

    /// Whether a policy is enabled on a target, and active.
    pub(crate) fn acts_on(&self, target: &ScalingTarget, policy: PolicyId) -> bool {
        self.scaling.targets.get(target).is_some_and(|on| on.acting.iter().any(|acting| acting.id() == policy))
    }

    /// The policies that own a target's count: enabled, active, and no dry run; paused or not.
    pub(crate) fn owning_policies(&self, target: &ScalingTarget) -> impl Iterator<Item = &Policy> {
        let on = self.scaling.targets.get(target);
        on.into_iter().flat_map(|on| on.acting.iter()).filter(|policy| !policy.spec().dry_run)
    }

    /// Those of them that are not paused, by what the target remembers.
    pub(crate) fn owning_awake(&self, target: &ScalingTarget, memory: &Memory, now: Timestamp) -> Vec<Policy> {
        let awake = |policy: &&Policy| memory.paused(policy.id(), now).is_none();
        self.owning_policies(target).filter(awake).cloned().collect()
    }

    /// The replicas of a target that are asked for and that serve.
    pub(crate) fn replica_counts(&self, target: &ScalingTarget) -> ReplicaCounts {
        match target {
            ScalingTarget::Deployment(id) => self.deployment(*id).map_or_else(ReplicaCounts::default, |deployment| {
                let serving = self.replicas_of(deployment).filter(|replica| self.serves(replica)).count();
                let current = deployment.record.target_replicas;
                ReplicaCounts {
                    current,
                    // Both sides of a rollout serve; one more than was asked for is its surge.
                    ready: u32::try_from(serving).unwrap_or(u32::MAX).min(current),
                    release_failing: self.release_fails(deployment),
                }
            }),
            ScalingTarget::Outside { .. } => {
                let told = self.scaling.states.get(target).and_then(|state| state.replicas);
                let current = told.unwrap_or(UNTOLD_REPLICAS);
                ReplicaCounts { current, ready: current, release_failing: false }
            }
        }
    }

    fn view(&self, target: &ScalingTarget, on: &OnTarget, nothing: &Arc<Memory>) -> Option<TargetView> {
        let first = on.acting.first().or(on.shadows.first()).map(Policy::id).or(on.all.first().copied())?;
        let owner = self.policy(first)?.user_id;
        let state = self.scaling.state(target);
        let memory = state.map_or(nothing, |state| &state.memory);
        let memory = match &memory.undo {
            None => memory.clone(),
            // How to undo what is being carried out is none of an evaluation's business.
            Some(_) => Arc::new(Memory { undo: None, ..Memory::clone(memory) }),
        };
        Some(TargetView {
            target: target.clone(),
            policies: on.acting.clone(),
            shadows: on.shadows.clone(),
            owner,
            version: state.map_or(0, |state| state.version),
            memory,
            counts: self.replica_counts(target),
            dormant: self.dormant(target).is_some(),
            pending: self.scaling.pending.get(target).copied(),
        })
    }

    /// The status that keeps a deployment from being scaled.
    pub(crate) fn dormant(&self, target: &ScalingTarget) -> Option<DeploymentStatus> {
        let ScalingTarget::Deployment(id) = target else { return None };
        let status = self.deployment(*id).map_or(DeploymentStatus::Deleted, |deployment| deployment.record.status);
        matches!(status, DeploymentStatus::Stopped | DeploymentStatus::Failed | DeploymentStatus::Deleted)
            .then_some(status)
    }

    fn serves(&self, replica: &ReplicaRecord) -> bool {
        replica.status == ReplicaStatus::Running && self.is_ready(replica)
    }

    /// Whether more of the present revision's replicas fail than serve. One bad node does not make a bad release, and
    /// neither does one replica that fell over under load while the others carry on.
    fn release_fails(&self, deployment: &Deployment) -> bool {
        let current = || {
            let all = self.replicas_of(deployment).filter(|replica| replica.status.is_live());
            all.filter(|replica| replica.revision == deployment.record.revision)
        };
        let looping = current().filter(|replica| {
            let least = if replica.started_at.is_some() { LOOPING_RESTARTS } else { 1 };
            replica.restarts >= least && !self.serves(replica)
        });
        let ended = self.observed.failures.get(&deployment.record.id).map_or(0, |failures| failures.in_a_row);
        let failing = u32::try_from(looping.count()).unwrap_or(u32::MAX).saturating_add(ended);
        let serving = current().filter(|replica| self.serves(replica)).count();
        failing > u32::try_from(serving).unwrap_or(u32::MAX)
    }
}
