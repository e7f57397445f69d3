//! Everything that may change the cluster: intents of people and observations of agents.
//!
//! A command is data. What it does is in the file of its name, as a method on `Cluster`; [`Cluster::apply`] is the one
//! `match`. Invariant: a rejected command has changed nothing.

mod access;
mod apply;
mod audit;
mod decide;
mod deployment;
mod manual;
mod node;
mod observe;
mod outcome;
mod policy;
mod rejection;
mod session;
mod traffic;
mod user;
mod wake;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{DecisionId, DeploymentId, NodeId, PolicyId, ReplicaId, SessionId, UserId};
use crate::observation::{NodeDeclaration, NodeUsage, ReplicaReport, ReplicaUsage};
use crate::record::{PasswordHash, Role, ScalingTarget, Tier};
use crate::scaling::inputs::Trigger;
use crate::scaling::state::Memory;
use crate::scaling::{Decision, PolicySpec};
use crate::spec::DeploymentSpec;
use crate::time::Timestamp;
use crate::traffic::ServiceSignal;

pub use outcome::Outcome;
pub use rejection::Rejection;

/// Who wants something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Actor {
    /// A user who has shown a valid token.
    User {
        /// Which user.
        id: UserId,
        /// Their name, for the audit log.
        name: String,
        /// What they may do.
        role: Role,
    },
    /// An agent, which may only tell what it sees.
    Agent,
    /// Fogline itself, or somebody who has not logged in yet.
    System,
}

/// Marks a request that must not be done twice.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct IdempotencyKey {
    /// The caller's own words, 1 to 255 characters.
    pub key: String,
    /// SHA-256 of method, path and body.
    pub fingerprint: [u8; 32],
}

/// A command with the circumstances it came in.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// Who wants it.
    pub actor: Actor,
    /// What.
    pub command: Command,
    /// So that a retry is answered and not done again.
    pub idempotency: Option<IdempotencyKey>,
    /// The caller's address, for the audit log.
    pub remote: Option<String>,
}

impl Request {
    /// A command of Fogline's own.
    #[must_use]
    pub const fn system(command: Command) -> Self {
        Self { actor: Actor::System, command, idempotency: None, remote: None }
    }

    /// What an agent tells.
    #[must_use]
    pub const fn agent(command: Command) -> Self {
        Self { actor: Actor::Agent, command, idempotency: None, remote: None }
    }
}

/// What is wanted, or was seen.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "fields are those of the records that a command changes")]
pub enum Command {
    /// Adds a user.
    CreateUser { username: String, password_hash: PasswordHash, role: Role, tier: Tier },
    /// Changes what is `Some`. A new password, a new role or `disabled` ends the user's sessions.
    UpdateUser {
        user_id: UserId,
        password_hash: Option<PasswordHash>,
        role: Option<Role>,
        tier: Option<Tier>,
        disabled: Option<bool>,
    },
    /// Removes a user and, with them, their deployments; refused while any of their replicas is not gone.
    DeleteUser { user_id: UserId },

    /// A login that was checked: remembers the hash of its refresh token.
    OpenSession { user_id: UserId, refresh_hash: [u8; 32], expires_at: Timestamp },
    /// Swaps a refresh token for the next; ends the session when an old one is shown again.
    RotateSession { session_id: SessionId, presented: [u8; 32], next: [u8; 32], expires_at: Timestamp },
    /// Ends a session.
    RevokeSession { session_id: SessionId },
    /// Remembers a refused login.
    NoteRefusedLogin { username: String, reason: &'static str },

    /// Changes what is `Some`.
    UpdateNode {
        node_id: NodeId,
        cordoned: Option<bool>,
        draining: Option<bool>,
        labels: Option<BTreeMap<String, String>>,
    },
    /// Removes a node. Refused while it holds replicas, unless `force` says that it will not come back.
    DeleteNode { node_id: NodeId, force: bool },

    /// Adds a deployment and places all of it, or none.
    Deploy { spec: Arc<DeploymentSpec> },
    /// Gives a deployment a new spec. The name must stay, and so does the count where policies own it. Made from
    /// `based_on`, it is refused when the spec is another by now: otherwise whatever came between would be undone by
    /// somebody who never saw it.
    UpdateDeployment { deployment_id: DeploymentId, spec: Arc<DeploymentSpec>, based_on: Option<Arc<DeploymentSpec>> },
    /// Sets the number of replicas. `replicas` is what the caller sent; the range is checked here.
    ScaleDeployment { deployment_id: DeploymentId, replicas: i64 },
    /// Stops every replica and keeps the deployment.
    StopDeployment { deployment_id: DeploymentId },
    /// Starts a stopped or failed deployment.
    StartDeployment { deployment_id: DeploymentId },
    /// Stops every replica and forgets the deployment, except its history; scaling policies on it go with it.
    DeleteDeployment { deployment_id: DeploymentId },

    /// Adds a policy. What its target is, is found out here and kept.
    CreatePolicy { spec: Arc<PolicySpec> },
    /// Gives a policy a new spec. Made from version `based_on`, it is refused when there is a newer one by now.
    UpdatePolicy { policy_id: PolicyId, spec: Arc<PolicySpec>, based_on: Option<u32> },
    /// Removes a policy. Decisions that it took part in stay; what its target remembers goes with the last policy on it.
    DeletePolicy { policy_id: PolicyId },
    /// Has a policy neither vote nor bound until then, or from now on again.
    PausePolicy { policy_id: PolicyId, until: Option<Timestamp> },
    /// Sets the count of any target, as a person. [`Command::ScaleDeployment`] does the same where policies own it, and
    /// leaves no decision where none do.
    ScaleTarget { target: ScalingTarget, count: ByHand },
    /// The engine has decided. A deployment is scaled and the decision recorded in this one commit; of any other target
    /// the decision is recorded as pending, for an executor to carry out. Refused when it was decided from another count
    /// or an older state than there are by now: then it is simply decided again.
    Decide(Box<Decided>),
    /// Whether a pending decision was carried out.
    CompleteDecision { decision_id: DecisionId, error: Option<String> },

    /// A command is about to be run in a replica: whether it may be, and a line of the audit log. It changes nothing else.
    RunCommand { deployment_id: DeploymentId, replica_id: ReplicaId, command: Vec<String> },

    /// An agent presents its nodes: new ones are added, known ones brought up to date and seen.
    DeclareNodes { nodes: Vec<NodeDeclaration> },
    /// A sign of life.
    Heartbeat { node_id: NodeId, usage: NodeUsage, replicas: Vec<ReplicaUsage> },
    /// A replica that runs on a node without being listed is to be stopped: somebody says so, or its row says that it
    /// has ended, so that a stop was ordered already and got lost with an agent's disk.
    StopUnlisted { node_id: NodeId, replica_id: ReplicaId, deployment_id: DeploymentId, revision: u32 },
    /// What a node's replicas are doing.
    Observe { node_id: NodeId, reports: Vec<ReplicaReport> },

    /// A proxy presents itself: from now on it is waited for before a replica is stopped that it may have requests with.
    AttachProxy { proxy: String },
    /// A proxy is gone, or cannot be reached: what it last told goes on counting for a while.
    DetachProxy { proxy: String },
    /// What a proxy sees: all leaving replicas that it has let go of, and the deployments of which something is another
    /// than it last told; in its first report all of them.
    NoteTraffic { proxy: String, let_go: Vec<ReplicaId>, signals: Vec<ServiceSignal> },
    /// Requests wait for a deployment that sleeps. Their number goes into the record.
    Wake { deployment_id: DeploymentId, held: u32 },
}

/// A count that a person sets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ByHand {
    /// What the caller sent; the range is checked where it is set.
    pub replicas: i64,
    /// Why, for the record.
    pub reason: Option<String>,
    /// Until when policies that own the count hold it; until their cooldown ends where nothing is said.
    pub until: Option<Timestamp>,
    /// The word in the record, where another is wanted than the actor's role says.
    pub trigger: Option<Trigger>,
}

/// What the engine has decided for a target.
#[derive(Clone, PartialEq, Debug)]
pub struct Decided {
    /// For what.
    pub target: ScalingTarget,
    /// The version of the target's state that it was decided from; 0 where there was none.
    pub based_on: u64,
    /// The decision.
    pub decision: Decision,
    /// What is remembered, should it be carried out; nothing where nothing changed that must survive.
    pub memory: Option<Memory>,
    /// What is remembered, should it not be.
    pub memory_without: Option<Memory>,
    /// Whether a row is written of it. One that changes a count always leaves one.
    pub keep: bool,
}
