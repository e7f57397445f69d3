//! What the engine keeps of one target: an arbiter for the policies that act, one for dry runs, one a shadow; and the
//! latest decisions.
//!
//! Invariant: whatever policies come and go, an arbiter's memory stays while one of its kind is on the target.

use std::collections::VecDeque;
use std::sync::Arc;

use fogline_core::cluster::TargetView;
use fogline_core::id::PolicyId;
use fogline_core::scaling::inputs::Run;
use fogline_core::scaling::{Decision, Policy};

use super::arbitration::Arbitration;
use super::builtin::Usage;
use super::resolve::{Plan, Readings};

/// The most decisions that are kept of a target.
const MOST: usize = 120;
/// And of all targets together: some hundred megabytes.
const MOST_IN_ALL: usize = 60_000;
const LEAST: usize = 4;

/// One target.
#[derive(Debug)]
pub(super) struct Target {
    /// The policies that the arbiters were made of.
    acting: Arc<[Policy]>,
    shadows: Arc<[Policy]>,
    pub(super) groups: Vec<Group>,
    /// What the system measured of it last.
    pub(super) usage: Option<Usage>,
    /// The number of the round in which it was seen last.
    pub(super) round: u64,
    /// Oldest first.
    ring: VecDeque<Arc<Decision>>,
}

/// Policies that are evaluated together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) key: Key,
    pub(super) policies: Arc<[Policy]>,
    pub(super) plan: Plan,
    pub(super) arbitration: Arbitration,
}

/// Which of a target's arbiters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    /// That of the policies that act.
    Live,
    /// That of those that go to the log.
    DryRun,
    /// That of a policy that only records.
    Shadow(PolicyId),
}

impl Key {
    const fn run(self) -> Run {
        match self {
            Self::Live => Run::Live,
            Self::DryRun => Run::DryRun,
            Self::Shadow(_) => Run::Shadow,
        }
    }
}

impl Target {
    /// A target that is seen for the first time.
    pub(super) fn new(view: &TargetView, readings: &Readings) -> Self {
        let mut target = Self {
            acting: Arc::clone(&view.policies),
            shadows: Arc::clone(&view.shadows),
            groups: Vec::new(),
            usage: None,
            round: 0,
            ring: VecDeque::new(),
        };
        target.group(readings);
        target
    }

    /// Makes the arbiters anew where policies have changed.
    pub(super) fn follow(&mut self, view: &TargetView, readings: &Readings) {
        if Arc::ptr_eq(&self.acting, &view.policies) && Arc::ptr_eq(&self.shadows, &view.shadows) {
            return;
        }
        (self.acting, self.shadows) = (Arc::clone(&view.policies), Arc::clone(&view.shadows));
        self.group(readings);
    }

    fn group(&mut self, readings: &Readings) {
        let mut before = std::mem::take(&mut self.groups);
        let mut wanted = Vec::new();
        let is_dry = |policy: &&Policy| policy.spec().dry_run;
        if self.acting.iter().any(|policy| policy.spec().dry_run) {
            let dry: Arc<[Policy]> = self.acting.iter().filter(is_dry).cloned().collect();
            let live: Arc<[Policy]> = self.acting.iter().filter(|policy| !is_dry(policy)).cloned().collect();
            wanted.extend((!live.is_empty()).then_some((Key::Live, live)));
            wanted.push((Key::DryRun, dry));
        } else if !self.acting.is_empty() {
            wanted.push((Key::Live, Arc::clone(&self.acting)));
        }
        wanted.extend(self.shadows.iter().map(|policy| (Key::Shadow(policy.id()), [policy.clone()].into())));
        self.groups = wanted
            .into_iter()
            .map(|(key, policies)| {
                let known = before.iter().position(|group| group.key == key).map(|at| before.swap_remove(at));
                let plan = readings.plan(&policies);
                let arbitration = known.map_or_else(|| Arbitration::new(key.run()), |group| group.arbitration);
                Group { key, policies, plan, arbitration }
            })
            .collect();
    }

    /// The arbiter of this kind.
    pub(super) fn group_of(&mut self, key: Key) -> Option<&mut Group> {
        self.groups.iter_mut().find(|group| group.key == key)
    }

    /// Remembers a decision, where there are so many targets.
    pub(super) fn remember(&mut self, decision: Arc<Decision>, targets: usize) {
        self.ring.push_back(decision);
        let most = (MOST_IN_ALL / targets.max(1)).clamp(LEAST, MOST);
        let surplus = self.ring.len().saturating_sub(most);
        self.ring.drain(..surplus);
    }

    /// The latest decisions, newest first.
    pub(super) fn recent(&self) -> Vec<Arc<Decision>> {
        self.ring.iter().rev().cloned().collect()
    }
}
