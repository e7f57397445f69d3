//! Which commands leave a line in the audit log, and what it says.

use super::{Actor, Command, Outcome, Rejection, Request};
use crate::cluster::{Changes, Cluster};
use crate::record::AuditRecord;
use crate::shorten;
use crate::time::Timestamp;

impl Command {
    /// Verb and noun of what a person does, and to what. Agents' observations are not deeds.
    fn deed(&self) -> Option<(&'static str, String)> {
        Some(match self {
            Self::CreateUser { username, .. } => ("user.create", username.clone()),
            Self::UpdateUser { user_id, .. } => ("user.update", user_id.to_string()),
            Self::DeleteUser { user_id } => ("user.delete", user_id.to_string()),
            Self::OpenSession { user_id, .. } => ("session.open", user_id.to_string()),
            Self::RotateSession { session_id, .. } => ("session.rotate", session_id.to_string()),
            Self::RevokeSession { session_id } => ("session.revoke", session_id.to_string()),
            Self::NoteRefusedLogin { username, .. } => ("session.open", username.clone()),
            Self::UpdateNode { node_id, .. } => ("node.update", node_id.to_string()),
            Self::DeleteNode { node_id, .. } => ("node.delete", node_id.to_string()),
            Self::Deploy { spec } => ("deployment.create", spec.name.clone()),
            Self::UpdateDeployment { deployment_id, .. } => ("deployment.update", deployment_id.to_string()),
            Self::ScaleDeployment { deployment_id, .. } => ("deployment.scale", deployment_id.to_string()),
            Self::StopDeployment { deployment_id } => ("deployment.stop", deployment_id.to_string()),
            Self::StartDeployment { deployment_id } => ("deployment.start", deployment_id.to_string()),
            Self::DeleteDeployment { deployment_id } => ("deployment.delete", deployment_id.to_string()),
            Self::CreatePolicy { spec } => ("policy.create", spec.name.clone()),
            Self::UpdatePolicy { policy_id, .. } => ("policy.update", policy_id.to_string()),
            Self::DeletePolicy { policy_id } => ("policy.delete", policy_id.to_string()),
            Self::PausePolicy { policy_id, .. } => ("policy.pause", policy_id.to_string()),
            Self::ScaleTarget { target, .. } => ("target.scale", target.to_string()),
            Self::CompleteDecision { decision_id, .. } => ("decision.complete", decision_id.to_string()),
            Self::RunCommand { replica_id, .. } => ("replica.exec", replica_id.to_string()),
            Self::StopUnlisted { replica_id, .. } => ("replica.stop", replica_id.to_string()),
            Self::Decide(_)
            | Self::DeclareNodes { .. }
            | Self::Heartbeat { .. }
            | Self::Observe { .. }
            | Self::AttachProxy { .. }
            | Self::DetachProxy { .. }
            | Self::NoteTraffic { .. }
            | Self::Wake { .. } => return None,
        })
    }
}

impl Cluster {
    pub(super) fn audit(
        &mut self,
        request: &Request,
        result: &Result<Outcome, Rejection>,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        let Some((action, object)) = request.command.deed() else { return };
        let (outcome, detail) = match (&request.command, result) {
            (Command::NoteRefusedLogin { reason, .. }, _) => ("unauthenticated".to_owned(), (*reason).to_owned()),
            // A token that is renewed every few minutes says nothing that its first line did not say.
            (Command::RotateSession { .. }, Ok(Outcome::SessionRotated { .. })) => return,
            (Command::RunCommand { command, .. }, Ok(_)) => ("ok".to_owned(), shown(command)),
            (_, Ok(outcome)) => ("ok".to_owned(), outcome.in_words()),
            // Mistakes are told to their maker. What somebody was not allowed to do is worth a line.
            (
                _,
                Err(rejection @ (Rejection::Forbidden { .. } | Rejection::NotFound { .. } | Rejection::SessionEnded)),
            ) => (rejection.slug().to_owned(), rejection.to_string()),
            (_, Err(_)) => return,
        };
        let actor_name = match (&request.actor, &request.command) {
            (_, Command::NoteRefusedLogin { username, .. }) => username.clone(),
            (Actor::User { name, .. }, _) => name.clone(),
            (_, Command::OpenSession { user_id, .. }) => {
                self.user(*user_id).map_or_else(String::new, |user| user.username.clone())
            }
            _ => "system".to_owned(),
        };
        let id = self.new_id(now);
        changes.audit.push(AuditRecord {
            id,
            at: now,
            actor: request.actor.user_id(),
            actor_name,
            action,
            object,
            outcome,
            remote: request.remote.clone(),
            detail,
        });
    }
}

/// The most that is kept of a command.
const COMMAND_CHARS: usize = 1_000;

/// A command in one line, each part quoted, so that nobody can make two of one or hide one.
fn shown(command: &[String]) -> String {
    let mut text = command.iter().map(|part| format!("{part:?}")).collect::<Vec<_>>().join(" ");
    shorten(&mut text, COMMAND_CHARS);
    text
}

impl Outcome {
    fn in_words(&self) -> String {
        match self {
            Self::Deployed { deployment_id, replicas } => format!("{deployment_id}, {replicas} replicas"),
            Self::Scaled { from, to, .. } => format!("from {from} to {to} replicas"),
            Self::DeploymentUpdated { revision, .. } => format!("revision {revision}"),
            Self::DeploymentStopped { replicas, .. } => format!("{replicas} replicas stopping"),
            Self::Decided { from, to, .. } => format!("from {from} to {to} replicas"),
            Self::PolicyCreated { policy_id } => policy_id.to_string(),
            Self::PolicyUpdated { version, .. } => format!("version {version}"),
            Self::UserCreated { user_id } => user_id.to_string(),
            Self::SessionOpened { session_id } => session_id.to_string(),
            Self::SessionRevoked { .. }
            | Self::SessionRotated { .. }
            | Self::UserUpdated { .. }
            | Self::UserDeleted { .. }
            | Self::NodeUpdated { .. }
            | Self::NodeDeleted { .. }
            | Self::DeploymentStarted { .. }
            | Self::DeploymentDeleted { .. }
            | Self::PolicyDeleted { .. }
            | Self::PolicyPaused { .. }
            | Self::DecisionCompleted { .. }
            | Self::NodesDeclared { .. }
            | Self::Observed { .. }
            | Self::Noted => String::new(),
        }
    }
}
