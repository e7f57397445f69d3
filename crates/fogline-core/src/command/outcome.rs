//! What an accepted command did: enough to render the answer, now or when the request is repeated.

use serde::{Deserialize, Serialize};

use crate::id::{DecisionId, DeploymentId, NodeId, PolicyId, ReplicaId, SessionId, UserId};
use crate::state::DeploymentStatus;

/// The result of an accepted command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[expect(missing_docs, reason = "fields are ids and counts of what the variant names")]
pub enum Outcome {
    UserCreated {
        user_id: UserId,
    },
    UserUpdated {
        user_id: UserId,
    },
    UserDeleted {
        user_id: UserId,
    },
    SessionOpened {
        session_id: SessionId,
    },
    SessionRotated {
        session_id: SessionId,
        user_id: UserId,
    },
    SessionRevoked {
        session_id: SessionId,
    },
    NodeUpdated {
        node_id: NodeId,
    },
    NodeDeleted {
        node_id: NodeId,
    },
    /// The answer to a deploy always says `pending`; history says what came of it.
    Deployed {
        deployment_id: DeploymentId,
        replicas: u32,
    },
    /// `rolling` where replicas are being replaced.
    DeploymentUpdated {
        deployment_id: DeploymentId,
        status: DeploymentStatus,
        replicas: u32,
        revision: u32,
        rolling: bool,
    },
    Scaled {
        deployment_id: DeploymentId,
        status: DeploymentStatus,
        from: u32,
        to: u32,
    },
    DeploymentStopped {
        deployment_id: DeploymentId,
        replicas: u32,
    },
    DeploymentStarted {
        deployment_id: DeploymentId,
        status: DeploymentStatus,
        replicas: u32,
    },
    DeploymentDeleted {
        deployment_id: DeploymentId,
    },
    PolicyCreated {
        policy_id: PolicyId,
    },
    PolicyUpdated {
        policy_id: PolicyId,
        version: u32,
    },
    PolicyDeleted {
        policy_id: PolicyId,
    },
    PolicyPaused {
        policy_id: PolicyId,
    },
    /// `decision_id` where a row was written; `from` and `to` as they came about; `version` of the target's state by now, 0
    /// where it has none.
    Decided {
        decision_id: Option<DecisionId>,
        from: u32,
        to: u32,
        pending: bool,
        version: u64,
    },
    DecisionCompleted {
        decision_id: DecisionId,
    },
    /// In the order of the declarations.
    NodesDeclared {
        node_ids: Vec<NodeId>,
    },
    /// Heard. `unlisted` run there and have no place in the cluster.
    Observed {
        unlisted: Vec<ReplicaId>,
    },
    /// Heard; nothing to say.
    Noted,
}
