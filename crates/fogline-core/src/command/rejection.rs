//! Why a command was refused. Knows nothing of HTTP: the server maps each variant to a status and a problem type.

use std::time::Duration;

use crate::id::{DecisionId, ReplicaId};
use crate::spec::FieldError;
use crate::state::{DeploymentStatus, ReplicaStatus};

/// A refusal. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what the fields are")]
pub enum Rejection {
    /// Not there, or somebody else's: the two must look alike.
    #[error("{kind} {id} does not exist, or is not yours")]
    NotFound { kind: &'static str, id: String },
    /// The object is the caller's to see, the deed is not.
    #[error("{action} needs the role {needed}")]
    Forbidden { action: &'static str, needed: &'static str },
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    #[error("{kind} {name:?} exists already: choose another name, or delete that one first")]
    NameTaken { kind: &'static str, name: String },
    #[error("Cannot {action} a {status} deployment")]
    WrongStatus { action: &'static str, status: DeploymentStatus },
    #[error("replica {replica} does not run: it is {status}")]
    NotRunning { replica: ReplicaId, status: ReplicaStatus },
    #[error("{0}")]
    RouteTaken(String),
    #[error(
        "{woken} deployments of this account were woken within a minute, and that is the most: try again in {} s",
        retry_after.as_secs()
    )]
    TooManyWakes { woken: u32, retry_after: Duration },
    #[error("Insufficient nodes for {action}: need {needed}, found {found} with capacity")]
    Insufficient { action: &'static str, needed: u32, found: u32 },
    #[error("{what} would be {would_be}, and the {tier} tier allows {allowed}")]
    QuotaExceeded { what: &'static str, would_be: u32, tier: &'static str, allowed: u32 },
    #[error("{kind} {name} still has {replicas} replicas: stop them first")]
    StillInUse { kind: &'static str, name: String, replicas: u32 },
    #[error("the idempotency key {key:?} was used for another request")]
    KeyReused { key: String },
    #[error("{kind} {name:?} was changed by somebody else meanwhile: read it again, and repeat what you wanted")]
    ChangedMeanwhile { kind: &'static str, name: String },
    #[error("the target {target} is being scaled: decision {decision} has not been carried out yet")]
    ScalingPending { target: String, decision: DecisionId },
    #[error("decision {decision} does not wait to be completed: it has ended already, never was, or is not yours")]
    NotPending { decision: DecisionId },
    #[error("the refresh token is not valid: log in again")]
    SessionEnded,
    #[error("{0}")]
    LastAdministrator(&'static str),
}

impl Rejection {
    /// A single field that cannot be accepted.
    #[must_use]
    pub fn field(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }

    /// The stable name of the kind of refusal, as in problem types and in the audit log.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::Forbidden { .. } => "forbidden",
            Self::Invalid(_) => "invalid-request",
            Self::NameTaken { .. } => "name-taken",
            Self::RouteTaken(_) => "route-taken",
            Self::TooManyWakes { .. } => "too-many-wakes",
            Self::WrongStatus { .. } => "wrong-status",
            Self::NotRunning { .. } => "not-running",
            Self::Insufficient { .. } => "insufficient-nodes",
            Self::QuotaExceeded { .. } => "quota-exceeded",
            Self::StillInUse { .. } => "still-in-use",
            Self::KeyReused { .. } => "idempotency-key-reused",
            Self::ChangedMeanwhile { .. } => "changed-meanwhile",
            // A state that may be another in a moment; and a thing that may as well not be there.
            Self::ScalingPending { .. } => "changed-meanwhile",
            Self::NotPending { .. } => "not-found",
            Self::SessionEnded => "session-ended",
            Self::LastAdministrator(_) => "last-administrator",
        }
    }
}
