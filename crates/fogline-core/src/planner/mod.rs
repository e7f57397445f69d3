//! What must change so that what runs is what was asked for.
//!
//! Level-triggered: [`plan`] is told which deployment to look at, never what happened to it; a start, a take-over and
//! an ordinary day run the same code. Best effort: it places what fits and says what does not. Must never change
//! anything itself. Invariant: the plan of a converged deployment is empty. Tests: scripts and
//! their golden files in `tests/it/scripts`, properties in `tests/it/properties.rs`.

mod admission;
mod converge;
mod enact;
mod victims;

use std::borrow::Cow;

use crate::cluster::{Cluster, NodeIndex};
use crate::id::{DeploymentId, ReplicaId};
use crate::state::DeploymentStatus;
use crate::time::Timestamp;

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the variants' docs say what the fields are")]
pub enum Action {
    /// A new replica of the current revision.
    Create { node: NodeIndex, replaces: Option<ReplicaId> },
    /// A replica that should go.
    Stop { replica: ReplicaId, reason: &'static str },
    /// The deployment's status changes.
    Become { status: DeploymentStatus, reason: Cow<'static, str> },
    /// A line of history that changes no status.
    Note { reason: Cow<'static, str> },
}

/// What to do about one deployment now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// In this order.
    pub actions: Vec<Action>,
    /// Replicas that are wanted and have no place. Looked at again when room appears.
    pub unplaced: u32,
    /// When to look again though nothing has happened.
    pub recheck_at: Option<Timestamp>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }
}

/// Plans one deployment.
#[must_use]
pub fn plan(cluster: &Cluster, id: DeploymentId, now: Timestamp) -> Plan {
    let Some(deployment) = cluster.deployment(id) else { return Plan::default() };
    match deployment.record.status {
        DeploymentStatus::Pending => admission::admit(cluster, deployment, now),
        DeploymentStatus::Scheduled | DeploymentStatus::Running => converge::converge(cluster, deployment, now),
        DeploymentStatus::Stopped => stop_all(cluster, id, "Its deployment was stopped"),
        DeploymentStatus::Failed => stop_all(cluster, id, "Its deployment failed"),
        DeploymentStatus::Deleted => stop_all(cluster, id, "Its deployment was deleted"),
    }
}

fn stop_all(cluster: &Cluster, id: DeploymentId, reason: &'static str) -> Plan {
    let live = cluster
        .deployment(id)
        .into_iter()
        .flat_map(|deployment| cluster.replicas_of(deployment))
        .filter(|replica| replica.status.is_live());
    Plan { actions: live.map(|replica| Action::Stop { replica: replica.id, reason }).collect(), ..Plan::default() }
}
