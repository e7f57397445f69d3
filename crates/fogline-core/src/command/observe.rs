//! What agents tell about their nodes and replicas.
//!
//! Invariant: hearing a report twice, late or out of order changes nothing more. An agent can only speak of replicas
//! that were put on its node. The first digest that is told of a revision's image is that revision's for ever: a replica
//! that turns out to be made of another is stopped, and a new one takes over.

use super::{Actor, Outcome, Rejection};
use crate::assignment::{AssignedReplica, Want};
use crate::cluster::{Changes, Cluster};
use crate::id::{DeploymentId, NodeId, ReplicaId};
use crate::observation::{NodeUsage, ReplicaReport, ReplicaUsage, ReportedState};
use crate::record::ReplicaRecord;
use crate::spec::Runtime;
use crate::state::ReplicaStatus;
use crate::time::Timestamp;

impl Cluster {
    pub(super) fn heartbeat(
        &mut self,
        actor: &Actor,
        node_id: NodeId,
        usage: NodeUsage,
        replicas: &[ReplicaUsage],
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        actor.must_be_agent("telling of a node")?;
        self.known_node(node_id)?;
        self.saw_node(node_id, now, changes);
        self.note_usage(node_id, usage, replicas, now);
        Ok(Outcome::Noted)
    }

    pub(super) fn observe(
        &mut self,
        actor: &Actor,
        node_id: NodeId,
        reports: &[ReplicaReport],
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        actor.must_be_agent("telling of replicas")?;
        self.known_node(node_id)?;
        self.saw_node(node_id, now, changes);
        for report in reports {
            self.observe_replica(node_id, report, now, changes);
        }
        let unlisted =
            reports.iter().map(|report| report.replica_id).filter(|id| self.is_unlisted(node_id, *id)).collect();
        Ok(Outcome::Observed { unlisted })
    }

    pub(super) fn stop_unlisted(
        &mut self,
        actor: &Actor,
        node_id: NodeId,
        replica_id: ReplicaId,
        deployment_id: DeploymentId,
        revision: u32,
    ) -> Result<Outcome, Rejection> {
        actor.must_be_admin("stopping replicas that are not listed")?;
        self.known_node(node_id)?;
        if !self.is_unlisted(node_id, replica_id) {
            return Err(Rejection::NotFound { kind: "unlisted replica", id: replica_id.to_string() });
        }
        let order = AssignedReplica { replica_id, deployment_id, revision, want: Want::Stop };
        self.condemn(node_id, order);
        Ok(Outcome::Noted)
    }

    fn observe_replica(&mut self, node_id: NodeId, report: &ReplicaReport, now: Timestamp, changes: &mut Changes) {
        let Some(known) = self.replica(report.replica_id).cloned() else {
            let runs = matches!(report.state, ReportedState::Starting | ReportedState::Running);
            self.note_unlisted(node_id, report.replica_id, runs);
            return;
        };
        if known.node_id != Some(node_id) || !self.is_news(report) {
            return;
        }
        let mut next = advanced(&known, report, now);
        if let Some(reason) = self.settle_image(&known, report, changes)
            && next.status.is_live()
        {
            self.stop_other_image(&mut next, node_id, &reason, now, changes);
        }
        if next.status == ReplicaStatus::Failed {
            self.note_failure(&next, node_id, now);
        }
        if next.status == ReplicaStatus::Running && known.status != ReplicaStatus::Running {
            self.forget_failures(next.deployment_id);
        }
        let ready = report.ready && next.status == ReplicaStatus::Running;
        let readiness_changed = self.note_report(report, ready);
        if next.status != known.status || readiness_changed {
            self.replan(next.deployment_id);
        }
        if readiness_changed {
            changes.readiness.insert(next.deployment_id);
        }
        let condemned = next.status == ReplicaStatus::Stopping;
        let has_ended = next.restarts > known.restarts || (next.endpoint.is_none() && known.endpoint.is_some());
        if next != known {
            // Since when it is stopping is what its requests have left of their time.
            let stopping_on = known.status == ReplicaStatus::Stopping && condemned;
            let updated_at = if stopping_on { known.updated_at } else { now };
            self.put_replica(changes, ReplicaRecord { updated_at, ..next });
        }
        // Requests with a process that has ended have ended; and what nobody approved may not serve them.
        if has_ended || (condemned && known.status != ReplicaStatus::Stopping) {
            self.release(report.replica_id);
        }
    }

    /// Keeps the first digest that is told of a revision's image. Where it is settled already and the replica is made
    /// of another: why the replica cannot stay.
    fn settle_image(&mut self, known: &ReplicaRecord, report: &ReplicaReport, changes: &mut Changes) -> Option<String> {
        let told = report.image_digest.as_ref()?;
        let deployment = self.deployment(known.deployment_id)?;
        // The agent of a process has no image to speak of.
        deployment.templates.get(&known.revision).filter(|template| template.runtime == Runtime::Docker)?;
        let settled = deployment.image_digests.get(&known.revision);
        let Some(settled) = settled else {
            self.put_image_digest(changes, known.deployment_id, known.revision, told.clone());
            return None;
        };
        (settled != told).then(|| {
            let (told, settled, revision) = (told.short(), settled.short(), known.revision);
            format!("Its image is {told}, but revision {revision} is {settled}: the tag was moved in between")
        })
    }

    /// What nobody approved must not serve. It counts as a failure, so that an agent that goes on telling something else
    /// is not given one replica after the other.
    fn stop_other_image(
        &mut self,
        next: &mut ReplicaRecord,
        node_id: NodeId,
        reason: &str,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        next.status = ReplicaStatus::Stopping;
        next.reason = Some(reason.into());
        self.note_failure(next, node_id, now);
        let Some(deployment) = self.deployment(next.deployment_id) else { return };
        let status = deployment.record.status.as_str();
        let note = format!("Replica {} is replaced. {reason}", next.id);
        self.write_history(next.deployment_id, status, None, note, now, changes);
    }
}

/// The row as the report makes it; the same row where the report says nothing new.
fn advanced(known: &ReplicaRecord, report: &ReplicaReport, now: Timestamp) -> ReplicaRecord {
    use ReplicaStatus::{Failed, Pending, Running, Starting, Stopped, Stopping};
    let mut next = known.clone();
    let seen = match (report.state, known.status) {
        (ReportedState::Stopped | ReportedState::Failed, Stopping) => Stopped,
        (ReportedState::Stopped | ReportedState::Failed, _) => Failed,
        (ReportedState::Starting, _) => Starting,
        (ReportedState::Running, _) => Running,
    };
    if known.status.may_become(seen) {
        next.status = seen;
    }
    let set = |field: &mut Option<std::sync::Arc<str>>, told: &Option<String>| {
        if let Some(told) = told.as_deref().filter(|told| !told.is_empty())
            && field.as_deref() != Some(told)
        {
            *field = Some(told.into());
        }
    };
    set(&mut next.endpoint, &report.endpoint);
    // Where nothing runs, the port may be another's by now. An agent that cannot make out what runs may not know its port.
    if report.endpoint.is_none() && !report.ready && !next.status.is_terminal() {
        next.endpoint = None;
    }
    set(&mut next.container_id, &report.container_id);
    next.restarts = next.restarts.max(report.restarts);
    next.exit_code = report.exit_code.or(next.exit_code);
    match next.status {
        Pending | Starting | Running => set(&mut next.reason, &report.message),
        // Why it was told to stop says more than how it then went.
        Stopping | Stopped => {}
        Failed => {
            let why = report.message.clone().unwrap_or_else(|| "It ended without having been told to".to_owned());
            set(&mut next.reason, &Some(why));
        }
    }
    if next.status == Running && next.started_at.is_none() {
        next.started_at = Some(now);
    }
    if next.status.is_terminal() {
        next.stopped_at = Some(now);
    }
    next
}
