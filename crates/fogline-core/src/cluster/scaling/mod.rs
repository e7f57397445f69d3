//! Policies and what their targets remember, as the cluster holds them.
//!
//! Must never decide how many replicas there should be. Invariants: a policy that can be evaluated was checked when it
//! came in, and the checked ones of a target lie ready, so that showing a target to an evaluation copies nothing; of
//! decisions only the pending ones are held, at most one a target. Tests: `tests/it/scaling_commands`, and the property
//! on batches that are taken back.

mod resolve;
mod view;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Cluster;
use crate::id::{DecisionId, PolicyId, UserId};
use crate::record::{DecisionRecord, DecisionStatus, PolicyRecord, ScalingStateRecord, ScalingTarget};
use crate::scaling::Policy;
use crate::scaling::policy::Mode;
use crate::spec::FieldError;

pub use view::TargetView;

/// Everything about scaling that is in rows.
#[derive(Clone, Debug, Default)]
pub struct ScalingBook {
    policies: HashMap<PolicyId, Held>,
    names: HashMap<(UserId, String), PolicyId>,
    by_owner: HashMap<UserId, BTreeSet<PolicyId>>,
    targets: HashMap<ScalingTarget, OnTarget>,
    states: HashMap<ScalingTarget, ScalingStateRecord>,
    /// Those that are pending.
    decisions: HashMap<DecisionId, DecisionRecord>,
    pending: HashMap<ScalingTarget, DecisionId>,
}

/// A policy with what checking it came to.
#[derive(Clone, Debug)]
struct Held {
    record: PolicyRecord,
    /// What an older version let in and this one does not: kept, shown with its faults, and not evaluated.
    checked: Result<Policy, Arc<[FieldError]>>,
}

impl Held {
    fn new(record: PolicyRecord) -> Self {
        let checked = Policy::new(record.id, record.spec.clone()).map_err(Into::into);
        Self { record, checked }
    }

    fn enabled(&self) -> Option<&Policy> {
        self.checked.as_ref().ok().filter(|policy| policy.spec().enabled)
    }
}

/// The policies on one target.
#[derive(Clone, Debug)]
struct OnTarget {
    all: BTreeSet<PolicyId>,
    /// The enabled ones that act, in the order of their ids.
    acting: Arc<[Policy]>,
    /// The enabled ones that only record.
    shadows: Arc<[Policy]>,
}

impl ScalingBook {
    pub(super) fn policy(&self, id: PolicyId) -> Option<&PolicyRecord> {
        self.policies.get(&id).map(|held| &held.record)
    }

    pub(super) fn state(&self, target: &ScalingTarget) -> Option<&ScalingStateRecord> {
        self.states.get(target)
    }

    pub(super) fn decision(&self, id: DecisionId) -> Option<&DecisionRecord> {
        self.decisions.get(&id)
    }

    /// Puts the row and the indexes in place, and checks the policy.
    pub(super) fn set_policy(&mut self, id: PolicyId, record: Option<PolicyRecord>) {
        let mut touched = BTreeSet::new();
        if let Some(old) = self.policies.remove(&id) {
            touched.insert(old.record.target.clone());
            self.unlink(&old.record);
        }
        if let Some(record) = record {
            touched.insert(record.target.clone());
            self.hold(record);
        }
        for target in touched {
            self.lay_out(&target);
        }
    }

    /// All policies of a start at once: each target is laid out once.
    pub(super) fn load_policies(&mut self, records: Vec<PolicyRecord>) {
        for record in records {
            self.hold(record);
        }
        let targets: Vec<ScalingTarget> = self.targets.keys().cloned().collect();
        for target in targets {
            self.lay_out(&target);
        }
    }

    pub(super) fn set_state(&mut self, target: &ScalingTarget, record: Option<ScalingStateRecord>) {
        match record {
            Some(record) => self.states.insert(target.clone(), record),
            None => self.states.remove(target),
        };
    }

    pub(super) fn set_decision(&mut self, id: DecisionId, record: Option<DecisionRecord>) {
        if let Some(old) = self.decisions.remove(&id)
            && self.pending.get(&old.target) == Some(&id)
        {
            self.pending.remove(&old.target);
        }
        // One that has ended has nothing left to decide; its row alone remembers it.
        if let Some(record) = record.filter(|record| record.status == DecisionStatus::Pending) {
            self.pending.insert(record.target.clone(), id);
            self.decisions.insert(id, record);
        }
    }

    fn hold(&mut self, record: PolicyRecord) {
        let empty = || OnTarget { all: BTreeSet::new(), acting: [].into(), shadows: [].into() };
        self.targets.entry(record.target.clone()).or_insert_with(empty).all.insert(record.id);
        self.by_owner.entry(record.user_id).or_default().insert(record.id);
        self.names.insert((record.user_id, record.spec.name.clone()), record.id);
        self.policies.insert(record.id, Held::new(record));
    }

    fn unlink(&mut self, old: &PolicyRecord) {
        let key = (old.user_id, old.spec.name.clone());
        if self.names.get(&key) == Some(&old.id) {
            self.names.remove(&key);
        }
        if let Some(owned) = self.by_owner.get_mut(&old.user_id) {
            owned.remove(&old.id);
            if owned.is_empty() {
                self.by_owner.remove(&old.user_id);
            }
        }
        if let Some(on) = self.targets.get_mut(&old.target) {
            on.all.remove(&old.id);
        }
    }

    /// Lays the checked policies of a target out anew.
    fn lay_out(&mut self, target: &ScalingTarget) {
        let Some(on) = self.targets.get_mut(target) else { return };
        if on.all.is_empty() {
            self.targets.remove(target);
            return;
        }
        let enabled = || on.all.iter().filter_map(|id| self.policies.get(id)?.enabled());
        let acting = enabled().filter(|policy| policy.spec().mode == Mode::Active).cloned().collect();
        let shadows = enabled().filter(|policy| policy.spec().mode == Mode::Shadow).cloned().collect();
        (on.acting, on.shadows) = (acting, shadows);
    }
}

impl Cluster {
    /// A policy.
    #[must_use]
    pub fn policy(&self, id: PolicyId) -> Option<&PolicyRecord> {
        self.scaling.policy(id)
    }

    /// All policies, in no order.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyRecord> {
        self.scaling.policies.values().map(|held| &held.record)
    }

    /// A user's policies, oldest first.
    pub fn policies_of(&self, owner: UserId) -> impl Iterator<Item = &PolicyRecord> {
        self.scaling.by_owner.get(&owner).into_iter().flatten().filter_map(|id| self.policy(*id))
    }

    /// A user's policy of this name.
    #[must_use]
    pub fn policy_named(&self, owner: UserId, name: &str) -> Option<&PolicyRecord> {
        self.policy(*self.scaling.names.get(&(owner, name.to_owned()))?)
    }

    /// The policies on a target, enabled or not, oldest first.
    pub fn policies_on(&self, target: &ScalingTarget) -> impl Iterator<Item = &PolicyRecord> {
        let on = self.scaling.targets.get(target);
        on.into_iter().flat_map(|on| &on.all).filter_map(|id| self.policy(*id))
    }

    /// Why a policy that is enabled is not evaluated all the same: fields that were let in by an older version of the
    /// program and that this one cannot work with. Empty for one that can be evaluated.
    #[must_use]
    pub fn policy_faults(&self, id: PolicyId) -> &[FieldError] {
        self.scaling.policies.get(&id).and_then(|held| held.checked.as_ref().err()).map_or(&[], |faults| faults)
    }

    /// Policies that cannot be evaluated, with their faults: for the log of a start.
    pub fn faulty_policies(&self) -> impl Iterator<Item = (&PolicyRecord, &[FieldError])> {
        self.scaling.policies.values().filter_map(|held| Some((&held.record, held.checked.as_ref().err()?.as_ref())))
    }

    /// What a target remembers.
    #[must_use]
    pub fn scaling_state(&self, target: &ScalingTarget) -> Option<&ScalingStateRecord> {
        self.scaling.state(target)
    }

    /// What all targets remember, in no order.
    pub fn scaling_states(&self) -> impl Iterator<Item = &ScalingStateRecord> {
        self.scaling.states.values()
    }

    /// A decision that waits for its executor.
    #[must_use]
    pub fn pending_decision(&self, id: DecisionId) -> Option<&DecisionRecord> {
        self.scaling.decision(id)
    }

    /// The decision on a target that waits for its executor.
    #[must_use]
    pub fn pending_on(&self, target: &ScalingTarget) -> Option<&DecisionRecord> {
        self.scaling.decision(*self.scaling.pending.get(target)?)
    }

    /// All of those, in no order.
    pub fn pending_decisions(&self) -> impl Iterator<Item = &DecisionRecord> {
        self.scaling.decisions.values()
    }
}
