//! What this server is at the moment, for everybody who has to know: handlers, agents' sessions, probes.
//!
//! Invariant: there is one value, set by the campaign alone. It may lag behind the truth by an instant, so nobody acts on it:
//! what a leader does goes through its [`Mandate`](super::Mandate) and the database.

use std::sync::Arc;

use tokio::sync::watch;

use super::term::Term;
use crate::writer::WriteError;

/// A leader that is not this server, as the database names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leader {
    /// Its take-over.
    pub epoch: u64,
    /// Where its HTTP API is reached by other servers, `address:port`.
    pub http: String,
    /// Where agents attach to it, `address:port`.
    pub agents: String,
}

/// What this server is.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// It reads, and passes on what only a leader does.
    Standby {
        /// Who leads, where anybody does.
        leader: Option<Arc<Leader>>,
    },
    /// It leads, for this term.
    Leading(Arc<Term>),
    /// It takes nothing on any more.
    Stopping,
}

/// The role, as it is now. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub(crate) struct Leadership {
    role: Arc<watch::Sender<Role>>,
}

impl Leadership {
    /// Of a server that has only just started.
    pub(crate) fn new() -> Self {
        Self { role: Arc::new(watch::Sender::new(Role::Standby { leader: None })) }
    }

    /// The role.
    pub(crate) fn role(&self) -> Role {
        self.role.borrow().clone()
    }

    /// The term, where this server leads.
    pub(crate) fn term(&self) -> Option<Arc<Term>> {
        match &*self.role.borrow() {
            Role::Leading(term) => Some(Arc::clone(term)),
            Role::Standby { .. } | Role::Stopping => None,
        }
    }

    /// Who else leads, where that is known.
    pub(crate) fn leader(&self) -> Option<Arc<Leader>> {
        match &*self.role.borrow() {
            Role::Standby { leader } => leader.clone(),
            Role::Leading(_) | Role::Stopping => None,
        }
    }

    /// Waits until this one does not lead any more, as far as is known.
    pub(crate) async fn left(&self, leader: &Leader) {
        let leads = |role: &Role| matches!(role, Role::Standby { leader: Some(now) } if **now == *leader);
        // The sender is this value's own.
        let _ = self.role.subscribe().wait_for(|role| !leads(role)).await;
    }

    pub(super) fn set(&self, role: Role) {
        self.role.send_replace(role);
    }

    /// Why there is nobody here who could write.
    pub(crate) fn absence(&self) -> WriteError {
        match &*self.role.borrow() {
            Role::Standby { leader } => {
                WriteError::NotLeader { leader: leader.as_ref().map(|leader| leader.http.clone()) }
            }
            // A term that takes nothing any more and was not followed by anything yet: whether more than the term ends
            // is about to be seen.
            Role::Leading(_) | Role::Stopping => WriteError::Stopping,
        }
    }
}
