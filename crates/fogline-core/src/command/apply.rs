//! The one door for changes.

use super::{Actor, Command, Outcome, Rejection, Request};
use crate::cluster::{Changes, Cluster};
use crate::record::IdempotencyRecord;
use crate::time::Timestamp;

impl Cluster {
    /// Does what is asked, in memory, and records what that changed. Nothing of it is true before `changes` are
    /// committed; [`Cluster::revert`] takes them back.
    ///
    /// # Errors
    /// The reason why not; then nothing was changed, but a line for the audit log may have been added.
    pub fn apply(&mut self, request: &Request, now: Timestamp, changes: &mut Changes) -> Result<Outcome, Rejection> {
        let result = self.dispatch(request, now, changes);
        self.audit(request, &result, now, changes);
        if let (Ok(outcome), Some(key), Actor::User { id, .. }) = (&result, &request.idempotency, &request.actor) {
            changes.idempotency.push(IdempotencyRecord {
                user_id: *id,
                key: key.key.clone(),
                fingerprint: key.fingerprint,
                outcome: outcome.clone(),
                created_at: now,
            });
        }
        result
    }

    fn dispatch(&mut self, request: &Request, now: Timestamp, changes: &mut Changes) -> Result<Outcome, Rejection> {
        let actor = &self.as_of_now(&request.actor)?;
        match &request.command {
            Command::CreateUser { username, password_hash, role, tier } => {
                self.create_user(actor, username, password_hash, *role, *tier, now, changes)
            }
            Command::UpdateUser { user_id, password_hash, role, tier, disabled } => {
                let update = super::user::UserUpdate {
                    password_hash: password_hash.as_ref(),
                    role: *role,
                    tier: *tier,
                    disabled: *disabled,
                };
                self.update_user(actor, *user_id, &update, now, changes)
            }
            Command::DeleteUser { user_id } => self.delete_user(actor, *user_id, now, changes),
            Command::OpenSession { user_id, refresh_hash, expires_at } => {
                self.open_session(actor, *user_id, *refresh_hash, *expires_at, now, changes)
            }
            Command::RotateSession { session_id, presented, next, expires_at } => {
                self.rotate_session(*session_id, *presented, *next, *expires_at, now, changes)
            }
            Command::RevokeSession { session_id } => self.revoke_session(actor, *session_id, now, changes),
            Command::NoteRefusedLogin { .. } => Ok(Outcome::Noted),
            Command::UpdateNode { node_id, cordoned, draining, labels } => {
                self.update_node(actor, *node_id, *cordoned, *draining, labels.as_ref(), now, changes)
            }
            Command::DeleteNode { node_id, force } => self.delete_node(actor, *node_id, *force, now, changes),
            Command::Deploy { spec } => self.deploy(actor, spec, now, changes),
            Command::UpdateDeployment { deployment_id, spec, based_on } => {
                self.update_deployment(actor, *deployment_id, spec, based_on.as_deref(), now, changes)
            }
            Command::ScaleDeployment { deployment_id, replicas } => {
                self.scale_deployment(actor, *deployment_id, *replicas, now, changes)
            }
            Command::StopDeployment { deployment_id } => self.stop_deployment(actor, *deployment_id, now, changes),
            Command::StartDeployment { deployment_id } => self.start_deployment(actor, *deployment_id, now, changes),
            Command::DeleteDeployment { deployment_id } => self.delete_deployment(actor, *deployment_id, now, changes),
            Command::CreatePolicy { spec } => self.create_policy(actor, spec, now, changes),
            Command::UpdatePolicy { policy_id, spec, based_on } => {
                self.update_policy(actor, *policy_id, spec, *based_on, now, changes)
            }
            Command::DeletePolicy { policy_id } => self.delete_policy(actor, *policy_id, now, changes),
            Command::PausePolicy { policy_id, until } => self.pause_policy(actor, *policy_id, *until, now, changes),
            Command::ScaleTarget { target, count } => self.scale_target(actor, target, count, now, changes),
            Command::Decide(decided) => self.decide(actor, decided, now, changes),
            Command::CompleteDecision { decision_id, error } => {
                self.complete_decision(actor, *decision_id, error.as_deref(), now, changes)
            }
            Command::RunCommand { deployment_id, replica_id, command } => {
                self.run_command(actor, *deployment_id, *replica_id, command)
            }
            Command::DeclareNodes { nodes } => self.declare_nodes(actor, nodes, now, changes),
            Command::Heartbeat { node_id, usage, replicas } => {
                self.heartbeat(actor, *node_id, *usage, replicas, now, changes)
            }
            Command::StopUnlisted { node_id, replica_id, deployment_id, revision } => {
                self.stop_unlisted(actor, *node_id, *replica_id, *deployment_id, *revision)
            }
            Command::Observe { node_id, reports } => self.observe(actor, *node_id, reports, now, changes),
            Command::AttachProxy { proxy } => self.attach_proxy(actor, proxy, now),
            Command::DetachProxy { proxy } => self.detach_proxy(actor, proxy, now),
            Command::NoteTraffic { proxy, let_go, signals } => self.note_traffic(actor, proxy, let_go, signals, now),
            Command::Wake { deployment_id, held } => self.wake(actor, *deployment_id, *held, now, changes),
        }
    }
}
