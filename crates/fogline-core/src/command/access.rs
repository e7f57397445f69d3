//! Who may do what to which object.
//!
//! Invariant: what is not the caller's looks exactly as if it were not there.

use super::{Actor, Rejection};
use crate::cluster::{Cluster, Deployment};
use crate::id::{DeploymentId, NodeId, UserId};
use crate::record::{NodeRecord, Role, UserRecord};
use crate::state::DeploymentStatus;

impl Actor {
    /// The user behind it, if there is one.
    #[must_use]
    pub const fn user_id(&self) -> Option<UserId> {
        match self {
            Self::User { id, .. } => Some(*id),
            Self::Agent | Self::System => None,
        }
    }

    /// Whether it may see and change everybody's objects.
    #[must_use]
    pub const fn is_admin(&self) -> bool {
        matches!(self, Self::System | Self::User { role: Role::Admin, .. })
    }

    pub(super) fn must_be_admin(&self, action: &'static str) -> Result<(), Rejection> {
        if self.is_admin() { Ok(()) } else { Err(Rejection::Forbidden { action, needed: "admin" }) }
    }

    pub(super) fn must_be_agent(&self, action: &'static str) -> Result<(), Rejection> {
        match self {
            Self::Agent => Ok(()),
            Self::User { .. } | Self::System => Err(Rejection::Forbidden { action, needed: "agent" }),
        }
    }

    pub(super) fn must_write(&self, action: &'static str) -> Result<(), Rejection> {
        match self {
            Self::User { role: Role::Admin | Role::User, .. } | Self::System => Ok(()),
            Self::User { role: Role::Viewer, .. } | Self::Agent => Err(Rejection::Forbidden { action, needed: "user" }),
        }
    }
}

impl Cluster {
    /// The actor as they are now. A request may take seconds to arrive, and its user be gone or demoted meanwhile.
    pub(super) fn as_of_now(&self, actor: &Actor) -> Result<Actor, Rejection> {
        match actor {
            Actor::User { id, name, .. } => match self.user(*id) {
                Some(user) if !user.disabled => Ok(Actor::User { id: *id, name: name.clone(), role: user.role }),
                _ => Err(Rejection::SessionEnded),
            },
            Actor::Agent | Actor::System => Ok(actor.clone()),
        }
    }

    /// A deployment that the actor may see.
    ///
    /// # Errors
    /// [`Rejection::NotFound`] when there is none, it is deleted, or it is somebody else's.
    pub fn visible_deployment(&self, actor: &Actor, id: DeploymentId) -> Result<&Deployment, Rejection> {
        self.deployment(id)
            .filter(|deployment| deployment.record.status != DeploymentStatus::Deleted)
            .filter(|deployment| actor.is_admin() || actor.user_id() == Some(deployment.record.user_id))
            .ok_or_else(|| Rejection::NotFound { kind: "deployment", id: id.to_string() })
    }

    pub(super) fn writable_deployment(
        &self,
        actor: &Actor,
        id: DeploymentId,
        action: &'static str,
    ) -> Result<&Deployment, Rejection> {
        let deployment = self.visible_deployment(actor, id)?;
        actor.must_write(action)?;
        Ok(deployment)
    }

    pub(super) fn known_user(&self, id: UserId) -> Result<&UserRecord, Rejection> {
        self.user(id).ok_or_else(|| Rejection::NotFound { kind: "user", id: id.to_string() })
    }

    pub(super) fn known_node(&self, id: NodeId) -> Result<&NodeRecord, Rejection> {
        self.nodes().get(id).ok_or_else(|| Rejection::NotFound { kind: "node", id: id.to_string() })
    }
}
