//! Does in memory what a plan says.

use std::borrow::Cow;

use super::{Action, Plan};
use crate::cluster::{Changes, Cluster, NodeIndex};
use crate::id::{DeploymentId, ReplicaId, UserId};
use crate::record::{DeploymentRecord, ReplicaRecord, StatusHistoryRecord};
use crate::state::{DeploymentStatus, ReplicaStatus};
use crate::time::Timestamp;

impl Cluster {
    pub(crate) fn enact(&mut self, id: DeploymentId, plan: Plan, now: Timestamp, changes: &mut Changes) {
        for action in plan.actions {
            match action {
                Action::Create { node, replaces } => self.create_replica(id, node, replaces, now, changes),
                Action::Stop { replica, reason } => self.stop_replica(replica, reason, now, changes),
                Action::Become { status, reason } => self.become_status(id, status, None, reason, now, changes),
                Action::Note { reason } => {
                    let Some(deployment) = self.deployment(id) else { continue };
                    let status = deployment.record.status.as_str();
                    self.write_history(id, status, None, reason, now, changes);
                }
            }
        }
    }

    /// Adds a replica of the current revision and reserves its room.
    pub(crate) fn create_replica(
        &mut self,
        deployment_id: DeploymentId,
        node: NodeIndex,
        replaces: Option<ReplicaId>,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        let Some(deployment) = self.deployment(deployment_id) else { return };
        let (revision, spec) = (deployment.record.revision, deployment.record.spec.clone());
        let node_id = self.nodes().record(node).map(|node| node.id);
        let replaces = replaces.or_else(|| self.take_unreplaced(deployment_id));
        let record = ReplicaRecord {
            id: self.new_id(now),
            deployment_id,
            node_id,
            status: ReplicaStatus::Pending,
            revision,
            resources: spec.resources,
            host_port: spec.host_port,
            endpoint: None,
            container_id: None,
            restarts: 0,
            replaces,
            exit_code: None,
            reason: None,
            created_at: now,
            updated_at: now,
            started_at: None,
            stopped_at: None,
        };
        self.put_replica(changes, record);
    }

    fn stop_replica(&mut self, id: ReplicaId, reason: &'static str, now: Timestamp, changes: &mut Changes) {
        let Some(replica) = self.replica(id) else { return };
        if !replica.status.may_become(ReplicaStatus::Stopping) {
            return;
        }
        let status = ReplicaStatus::Stopping;
        let record = ReplicaRecord { status, reason: Some(reason.into()), updated_at: now, ..replica.clone() };
        self.put_replica(changes, record);
    }

    /// Changes a deployment's status, with its line of history, and has it planned.
    pub(crate) fn become_status(
        &mut self,
        id: DeploymentId,
        status: DeploymentStatus,
        by: Option<UserId>,
        reason: impl Into<Cow<'static, str>>,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        let Some(deployment) = self.deployment(id) else { return };
        let old = deployment.record.status;
        if !old.may_become(status) {
            return;
        }
        let deleted_at = (status == DeploymentStatus::Deleted).then_some(now);
        self.put_deployment(
            changes,
            DeploymentRecord { status, deleted_at, updated_at: now, ..deployment.record.clone() },
        );
        self.write_history(id, old.as_str(), by, reason, now, changes);
        self.replan(id);
    }

    /// Adds a line of history that ends at the deployment's present status.
    pub(crate) fn write_history(
        &mut self,
        id: DeploymentId,
        old_status: &'static str,
        changed_by: Option<UserId>,
        reason: impl Into<Cow<'static, str>>,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        let Some(deployment) = self.deployment(id) else { return };
        let seq = deployment.record.history_seq + 1;
        let record = DeploymentRecord { history_seq: seq, ..deployment.record.clone() };
        let new_status = record.status.as_str();
        self.put_deployment(changes, record);
        changes.history.push(StatusHistoryRecord {
            id: self.new_id(now),
            deployment_id: id,
            seq,
            old_status,
            new_status,
            changed_by,
            changed_at: now,
            reason: reason.into(),
        });
    }
}
