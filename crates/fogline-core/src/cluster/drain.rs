//! Replicas that are to stop and may still have requests.
//!
//! Decides when the node of such a replica is told to stop it: as soon as every proxy has let go of it, and at the
//! latest when its `drain_timeout_s` is over since it became stopping. Must never hold one that no request can have
//! reached; what could be reached once may have requests, also when its deployment has lost its routes since. A new
//! leader does not know of that. Invariants: each ends, whatever proxies do and however often the replica is reported;
//! where a deployment had no route nothing is held; a proxy that went away holds on to what it had not let go of. Tests:
//! `tests/it/front/drain.rs`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::{Changes, Cluster};
use crate::id::{DeploymentId, NodeId, ReplicaId};
use crate::record::ReplicaRecord;
use crate::state::ReplicaStatus;
use crate::time::Timestamp;

#[derive(Clone, Copy, Debug)]
struct Drain {
    /// The latest.
    until: Timestamp,
    /// When it is looked at though nothing was heard of it.
    due: Timestamp,
    /// Its node may stop it. Stays so: what was told to an agent is not taken back.
    released: bool,
    /// A proxy went away without having let go of it, and is forgotten by now: it may serve from its last table.
    is_left_behind: bool,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct DrainBook {
    drains: BTreeMap<ReplicaId, Drain>,
    /// Exactly those that are not released.
    due: BTreeSet<(Timestamp, ReplicaId)>,
    /// Those that were there when their deployment lost its routes.
    reached: BTreeSet<ReplicaId>,
}

impl DrainBook {
    /// Whether a replica that is to stop has to run on for now.
    pub(super) fn holds(&self, id: ReplicaId) -> bool {
        self.drains.get(&id).is_some_and(|drain| !drain.released)
    }

    /// Whether proxies are told of a replica though its deployment has no route.
    pub(super) fn is_told(&self, id: ReplicaId) -> bool {
        self.drains.contains_key(&id) || self.reached.contains(&id)
    }

    /// Those replicas.
    pub(super) fn told(&self) -> impl Iterator<Item = ReplicaId> {
        self.drains.keys().chain(&self.reached).copied()
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes over how far an earlier cluster of the same process had come with the replicas that are there.
    pub(super) fn keep(&mut self, earlier: &Self, replicas: &HashMap<ReplicaId, ReplicaRecord>) {
        let stops = |id: &ReplicaId| replicas.get(id).is_some_and(|replica| replica.status == ReplicaStatus::Stopping);
        for (id, drain) in earlier.drains.iter().filter(|(id, _)| stops(id)) {
            self.set(*id, Some(*drain));
        }
        self.reached = earlier.reached.iter().copied().filter(|id| replicas.contains_key(id)).collect();
    }

    /// Takes note of replicas whose deployment loses its routes.
    pub(super) fn note_reached(&mut self, replicas: impl Iterator<Item = ReplicaId>) {
        self.reached.extend(replicas);
    }

    /// Forgets a replica that is gone for good.
    pub(super) fn forget(&mut self, id: ReplicaId) {
        self.reached.remove(&id);
    }

    fn set(&mut self, id: ReplicaId, drain: Option<Drain>) {
        if let Some(old) = self.drains.remove(&id) {
            self.due.remove(&(old.due, id));
        }
        if let Some(drain) = drain {
            self.drains.insert(id, drain);
            if !drain.released {
                self.due.insert((drain.due, id));
            }
        }
    }
}

impl Cluster {
    /// Follows a replica's row: one that becomes stopping may have to be drained, one that is gone has been.
    pub(super) fn follow_drain(&mut self, id: ReplicaId, was: Option<ReplicaStatus>) {
        let stopping = self.replicas.get(&id).filter(|replica| replica.status == ReplicaStatus::Stopping);
        match stopping {
            // Whether it has to be is found out once: what it tells later comes after it was told to stop.
            Some(_) if was == Some(ReplicaStatus::Stopping) || self.drains.drains.contains_key(&id) => {}
            Some(replica) => {
                let drain = self.drain_of(replica);
                self.drains.set(id, drain);
            }
            None => self.drains.set(id, None),
        }
    }

    /// How a replica has to be drained that has just become stopping; nothing where no request can have reached it.
    fn drain_of(&self, replica: &ReplicaRecord) -> Option<Drain> {
        replica.endpoint.as_ref()?;
        let deployment = self.deployments.get(&replica.deployment_id)?;
        if deployment.record.spec.routes.is_empty() && !self.drains.reached.contains(&replica.id) {
            return None;
        }
        let timeout = deployment.templates.get(&replica.revision).map_or(0, |template| template.drain_timeout_s);
        let since = replica.updated_at;
        let until = since.plus(Duration::from_secs(timeout.into()));
        // A new leader looks again once the proxies have had the time to find it.
        let due = if since < self.proxies.complete_at() { until.min(self.proxies.complete_at()) } else { until };
        // Rows that are read at a start tell of what became stopping long ago.
        let now = since.max(self.proxies.listening_since());
        let released = until <= now || !self.proxies.may_hold(replica.id, now);
        Some(Drain { until, due, released, is_left_behind: false })
    }

    /// Has the node of a stopping replica told to stop it now.
    pub(crate) fn release(&mut self, id: ReplicaId) {
        let Some(drain) = self.drains.drains.get(&id).copied().filter(|drain| !drain.released) else { return };
        self.drains.set(id, Some(Drain { released: true, ..drain }));
        self.untold.released.extend(self.replicas.get(&id).and_then(|replica| replica.node_id));
    }

    /// Releases those of `replicas` that every proxy has let go of.
    pub(crate) fn release_let_go(&mut self, replicas: &[ReplicaId], now: Timestamp) {
        for id in replicas {
            let drain = self.drains.drains.get(id).filter(|drain| !drain.released);
            if drain.is_some_and(|drain| !self.may_be_held(*id, drain, now)) {
                self.release(*id);
            }
        }
    }

    fn may_be_held(&self, id: ReplicaId, drain: &Drain, now: Timestamp) -> bool {
        drain.is_left_behind || self.proxies.may_hold(id, now)
    }

    /// Whether a replica is stopping and runs on until its requests have ended.
    pub(crate) fn is_draining(&self, id: ReplicaId) -> bool {
        self.drains.holds(id)
    }

    /// What time alone brings.
    pub(super) fn check_drains(&mut self, now: Timestamp) {
        for let_go in self.proxies.forget_gone(now) {
            for (id, drain) in &mut self.drains.drains {
                drain.is_left_behind |= !let_go.contains(id);
            }
        }
        while let Some((_, id)) = self.drains.due.first().copied().filter(|(at, _)| *at <= now) {
            let Some(drain) = self.drains.drains.get(&id).copied() else { break };
            if drain.until <= now || !self.may_be_held(id, &drain, now) {
                self.release(id);
            } else {
                self.drains.set(id, Some(Drain { due: drain.until, ..drain }));
            }
        }
    }

    /// When [`Self::check_drains`] has something to do next.
    pub(super) fn next_drain(&self) -> Option<Timestamp> {
        self.drains.next_due()
    }

    /// Puts what must be told though no row says it into the record of the batch.
    pub(super) fn tell(&mut self, changes: &mut Changes) {
        changes.released.append(&mut self.untold.released);
        changes.readiness.append(&mut self.untold.readiness);
    }
}

/// What is to be told with the next batch that lands.
#[derive(Clone, Debug, Default)]
pub struct Untold {
    pub(super) released: BTreeSet<NodeId>,
    pub(super) readiness: BTreeSet<DeploymentId>,
}
