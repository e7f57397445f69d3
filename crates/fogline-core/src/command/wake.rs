//! A request that waits at zero.
//!
//! Where policies own the count it is a command to their arbiter, as a count that a person sets is; where none do, one
//! replica is asked for. As many as there is room for are enough to answer; where there is room for none, one is asked
//! for all the same, and the requests wait with it. Invariants: one wake of a sleeping deployment leaves one decision,
//! however many proxies ask; an owner's deployments are not woken more often than the settings say, or whoever can send
//! requests could start everything there is. Tests: `tests/it/front/wake.rs`.

use std::sync::Arc;

use super::decide::{Came, Fit, as_it_came_about, as_it_was_done};
use super::manual::{by_the_arbiter, plainly};
use super::{Actor, Outcome, Rejection};
use crate::cluster::{Changes, Cluster};
use crate::id::DeploymentId;
use crate::record::{DecisionStatus, ScalingTarget};
use crate::scaling::Decision;
use crate::scaling::inputs::{Inputs, ProxySignal, ReplicaCounts, Trigger};
use crate::scaling::state::Memory;
use crate::spec::DeploymentSpec;
use crate::state::DeploymentStatus;
use crate::time::Timestamp;

impl Cluster {
    pub(super) fn wake(
        &mut self,
        actor: &Actor,
        id: DeploymentId,
        held: u32,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        actor.must_be_agent("waking deployments")?;
        let there = self.deployment(id).map(|deployment| &deployment.record);
        let there = there.filter(|record| record.status != DeploymentStatus::Deleted);
        let not_found = || Rejection::NotFound { kind: "deployment", id: id.to_string() };
        let record = there.ok_or_else(not_found)?.clone();
        if matches!(record.status, DeploymentStatus::Stopped | DeploymentStatus::Failed) {
            return Err(Rejection::WrongStatus { action: "wake", status: record.status });
        }
        // Several proxies ask, each until it is told.
        if record.target_replicas > 0 {
            self.proxies_mut().woken(id, now);
            return Ok(Outcome::Noted);
        }
        let most = self.settings().wakes_per_minute;
        if let Some(retry_after) = self.wakes_mut().wait(record.user_id, most, now) {
            return Err(Rejection::TooManyWakes { woken: most, retry_after });
        }
        let target = ScalingTarget::Deployment(id);
        let (decision, memory) = self.waking(&target, held, now);
        let wanted = decision.replicas;
        let Fit { to, places, short } = self.fit(&record, wanted, now);
        if to == 0 {
            self.check_quota(record.user_id, Some(id), 1)?;
        }
        // Room may appear while they wait, and the planner looks for it.
        let to = to.max(1);
        self.wakes_mut().spend(record.user_id, now);
        self.proxies_mut().woken(id, now);
        let decision = as_it_came_about(&decision, to, short.as_deref());
        let spec = Arc::new(DeploymentSpec { replicas: to, ..(*record.spec).clone() });
        self.take_over(&Actor::System, record, spec, places, decision.cause(), now, changes);
        if self.policies_on(&target).next().is_some() {
            self.put_memory(&target, as_it_was_done(memory, now, wanted, to), now, changes);
        }
        let came = Came { error: short, ..Came::to(DecisionStatus::Completed) };
        let decision_id = Some(self.keep_decision(&target, decision, came, now, changes));
        let version = self.version_of(&target);
        Ok(Outcome::Decided { decision_id, from: 0, to, pending: false, version })
    }

    /// What the policies make of it. Paused, or not there any more, they have no say in whether a request is answered.
    fn waking(&self, target: &ScalingTarget, held: u32, now: Timestamp) -> (Decision, Memory) {
        let before = self.memory_of(target);
        let owning = self.owning_awake(target, &before, now);
        let replicas = ReplicaCounts { current: 0, ..self.replica_counts(target) };
        if !owning.is_empty() {
            let held = held.max(1);
            let proxy = Some(ProxySignal { at: now, open: 0, held, quiet_since: now, sequence: 0 });
            let (decision, memory) =
                by_the_arbiter(&owning, Inputs { replicas, proxy, ..Inputs::default() }, &before, now);
            if decision.replicas > 0 {
                return (decision, memory);
            }
        }
        let note = format!("woken up: {held} held requests");
        (plainly(target, replicas, 1, Trigger::Proxy, note, now), before)
    }
}
