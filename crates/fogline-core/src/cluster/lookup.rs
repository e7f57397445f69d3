//! Finding things by what they hang on.

use super::{Cluster, Deployment, NodeIndex};
use crate::id::{DeploymentId, NewId, NodeId, SessionId, UserId};
use crate::placement::{self, Demand, PlacementReport, Siblings};
use crate::record::{Liveness, ReplicaRecord, SessionRecord, UserRecord};
use crate::spec::DeploymentSpec;
use crate::state::DeploymentStatus;
use crate::time::Timestamp;

impl Cluster {
    pub(crate) fn new_id<T: NewId>(&mut self, now: Timestamp) -> T {
        self.ids.next(now)
    }

    /// The user of this name.
    #[must_use]
    pub fn user_named(&self, username: &str) -> Option<&UserRecord> {
        self.user(*self.usernames.get(username)?)
    }

    /// A session that has not ended.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Option<&SessionRecord> {
        self.sessions.get(&id)
    }

    pub(crate) fn sessions_of(&self, user: UserId) -> impl Iterator<Item = SessionId> {
        self.sessions.values().filter(move |session| session.user_id == user).map(|session| session.id)
    }

    /// A user's deployment of this name, unless it is deleted.
    #[must_use]
    pub fn deployment_named(&self, owner: UserId, name: &str) -> Option<&Deployment> {
        self.deployment(*self.names.get(&(owner, name.to_owned()))?)
    }

    /// A user's deployments that are not gone, deleted ones included while they still have replicas.
    pub fn deployments_of(&self, owner: UserId) -> impl Iterator<Item = &Deployment> {
        self.by_owner.get(&owner).into_iter().flatten().filter_map(|id| self.deployment(*id))
    }

    /// The replicas that hold room on a node, in the order in which they came.
    pub fn replicas_on(&self, node: NodeId) -> impl Iterator<Item = &ReplicaRecord> {
        let index = self.nodes.index_of(node);
        index
            .into_iter()
            .flat_map(|index| &self.nodes.replicas[index.0 as usize])
            .filter_map(|id| self.replicas.get(id))
    }

    /// Whether a replica's node is silent for too long.
    #[must_use]
    pub fn is_lost(&self, replica: &ReplicaRecord) -> bool {
        replica.node_id.and_then(|node| self.nodes.get(node)).is_none_or(|node| node.liveness == Liveness::Offline)
    }

    /// Whether a replica's readiness check passes, as far as is known.
    #[must_use]
    pub fn is_ready(&self, replica: &ReplicaRecord) -> bool {
        self.observed.replicas.get(&replica.id).is_some_and(|seen| seen.ready) && !self.is_lost(replica)
    }

    /// What one replica of `spec` needs of a node.
    #[must_use]
    pub fn demand<'a>(&self, deployment_id: DeploymentId, spec: &'a DeploymentSpec) -> Demand<'a> {
        Demand {
            deployment_id,
            resources: spec.resources,
            runtime: spec.runtime(),
            host_port: spec.host_port,
            placement: &spec.placement,
        }
    }

    /// What a deployment's replicas mean for where the next one goes.
    #[must_use]
    pub fn siblings(&self, deployment: &Deployment, now: Timestamp) -> Siblings {
        let mut siblings = Siblings::default();
        for replica in self.replicas_of(deployment).filter(|replica| replica.status.is_live()) {
            if let Some(index) = replica.node_id.and_then(|node| self.nodes.index_of(node)) {
                *siblings.on_node.entry(index).or_default() += 1;
            }
        }
        if let Some(failures) = self.observed.failures.get(&deployment.record.id) {
            let recent = failures.nodes.iter().filter(|(_, at)| now.since(*at) < self.settings.failure_memory);
            siblings.failed_on.extend(recent.filter_map(|(node, _)| self.nodes.index_of(*node)));
        }
        siblings
    }

    /// Where the next `count` replicas of a demand go; fewer where no more fit.
    #[must_use]
    pub fn place(&self, demand: &Demand<'_>, siblings: &Siblings, count: u32, now: Timestamp) -> Vec<NodeIndex> {
        placement::place(&self.nodes, demand, siblings, count, now, self.settings.load_max_age)
    }

    /// Whether one replica of a demand would fit on some node if that node were empty.
    #[must_use]
    pub fn fits_somewhere(&self, demand: &Demand<'_>) -> bool {
        placement::fits_empty(&self.nodes, demand)
    }

    /// Why `count` replicas of a demand go where they go, or nowhere.
    #[must_use]
    pub fn explain(&self, demand: &Demand<'_>, siblings: &Siblings, count: u32, now: Timestamp) -> PlacementReport {
        placement::explain(&self.nodes, demand, siblings, count, now, self.settings.load_max_age)
    }

    /// Replicas that a user's deployments take, leaving one out: what is asked for, or what still holds room where that is
    /// more. What was scaled down, stopped or deleted counts until it is gone, or a long grace would be a way around.
    #[must_use]
    pub fn replicas_taken_by(&self, owner: UserId, except: Option<DeploymentId>) -> u32 {
        let others = self.deployments_of(owner).filter(|deployment| Some(deployment.record.id) != except);
        others
            .map(|deployment| {
                let counts = !matches!(deployment.record.status, DeploymentStatus::Deleted | DeploymentStatus::Failed);
                let asked_for = if counts { deployment.record.target_replicas } else { 0 };
                asked_for.max(u32::try_from(deployment.replicas.len()).unwrap_or(u32::MAX))
            })
            .fold(0, u32::saturating_add)
    }
}
