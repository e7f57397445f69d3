//! The way back from rows to a cluster, after a start or a take-over.

use super::{
    Cluster, DrainBook, NodeObserved, NodeTable, Observed, ProxyBook, ReplicaObserved, RevisionRecord, RouteBook,
    ScalingBook, Untold, WakeBudget,
};
use crate::id::{DeploymentId, IdSource, ReplicaId};
use crate::record::{
    DecisionRecord, DeploymentRecord, NodeRecord, PolicyRecord, ReplicaRecord, ScalingStateRecord, SessionRecord,
    UserRecord,
};
use crate::settings::Settings;
use crate::state::ReplicaStatus;
use crate::time::Timestamp;

/// Every row that the cluster holds in memory.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "one field a table")]
pub struct Durable {
    pub users: Vec<UserRecord>,
    /// Those that are neither revoked nor expired.
    pub sessions: Vec<SessionRecord>,
    pub nodes: Vec<NodeRecord>,
    /// Those that are not deleted, and deleted ones that still have replicas.
    pub deployments: Vec<DeploymentRecord>,
    /// The revisions that replicas in `replicas` were started from, and each current one whose image digest is known.
    pub revisions: Vec<RevisionRecord>,
    /// Those that are not gone.
    pub replicas: Vec<ReplicaRecord>,
    pub policies: Vec<PolicyRecord>,
    pub scaling_states: Vec<ScalingStateRecord>,
    /// Those that are pending.
    pub decisions: Vec<DecisionRecord>,
}

/// Rows that contradict each other. The store's foreign keys make this impossible, so it means damage.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what the fields are")]
pub enum LoadError {
    #[error("replica {replica} belongs to deployment {deployment}, which has no row")]
    NoDeployment { replica: ReplicaId, deployment: DeploymentId },
    #[error("replica {replica} runs revision {revision} of deployment {deployment}, which has no row")]
    NoRevision { replica: ReplicaId, deployment: DeploymentId, revision: u32 },
}

impl Cluster {
    /// Takes over what an earlier cluster in the same process had observed: it was seen, whatever became of a commit.
    /// Except the numbers of reports, since the rows may lack what those have told; they will be told again.
    pub fn keep_observed(&mut self, earlier: &Self) {
        for (id, seen) in &earlier.observed.nodes {
            if let Some(index) = self.nodes.index_of(*id) {
                if let Some((usage, at)) = seen.usage {
                    self.nodes.set_usage(index, usage, at);
                }
                self.observed.nodes.insert(*id, seen.clone());
            }
        }
        for (id, seen) in &earlier.observed.replicas {
            if self.replicas.contains_key(id) {
                self.observed.replicas.insert(*id, ReplicaObserved { seq: 0, ..*seen });
            }
        }
        self.observed.failures.clone_from(&earlier.observed.failures);
        self.proxies.keep(&earlier.proxies);
        self.drains.keep(&earlier.drains, &self.replicas);
        self.wakes.clone_from(&earlier.wakes);
        self.untold.clone_from(&earlier.untold);
    }

    /// A cluster of these rows. Every node counts as seen now and every running replica as ready: a new leader knows
    /// nothing yet, and must not declare anyone dead for that.
    ///
    /// # Errors
    /// When rows contradict each other.
    pub fn load(durable: Durable, settings: Settings, ids: IdSource, now: Timestamp) -> Result<Self, LoadError> {
        let proxies = ProxyBook::new(now, settings.proxy_arrival);
        let mut cluster = Self {
            settings,
            ids,
            users: Default::default(),
            usernames: Default::default(),
            sessions: Default::default(),
            nodes: NodeTable::default(),
            deployments: Default::default(),
            by_owner: Default::default(),
            names: Default::default(),
            replicas: Default::default(),
            scaling: ScalingBook::default(),
            observed: Observed::default(),
            routes: RouteBook::default(),
            proxies,
            drains: DrainBook::default(),
            wakes: WakeBudget::default(),
            untold: Untold::default(),
            dirty: Default::default(),
            waiting: Default::default(),
            rechecks: Default::default(),
            next_silence_check: now,
            room_appeared: true,
        };
        for user in durable.users {
            cluster.set_user(user.id, Some(user));
        }
        for session in durable.sessions {
            cluster.set_session(session.id, Some(session));
        }
        for node in durable.nodes {
            let seen = NodeObserved {
                last_seen: now,
                usage: None,
                unlisted: Default::default(),
                condemned: Default::default(),
            };
            cluster.observed.nodes.insert(node.id, seen);
            cluster.set_node(node.id, Some(node));
        }
        for deployment in durable.deployments {
            cluster.dirty.insert(deployment.id);
            cluster.set_deployment(deployment.id, Some(deployment));
        }
        for revision in durable.revisions {
            if let Some(deployment) = cluster.deployments.get_mut(&revision.deployment_id) {
                deployment.templates.entry(revision.revision).or_insert_with(|| revision.spec.template().into());
                deployment.image_digests.extend(revision.image_digest.map(|digest| (revision.revision, digest)));
            }
        }
        for replica in durable.replicas {
            let (id, deployment, revision) = (replica.id, replica.deployment_id, replica.revision);
            let Some(known) = cluster.deployments.get(&deployment) else {
                return Err(LoadError::NoDeployment { replica: id, deployment });
            };
            if !known.templates.contains_key(&revision) {
                return Err(LoadError::NoRevision { replica: id, deployment, revision });
            }
            let ready = replica.status == ReplicaStatus::Running;
            cluster.observed.replicas.insert(id, ReplicaObserved { ready, ..ReplicaObserved::default() });
            cluster.set_replica(id, Some(replica));
        }
        cluster.scaling.load_policies(durable.policies);
        for state in durable.scaling_states {
            cluster.scaling.set_state(&state.target.clone(), Some(state));
        }
        for decision in durable.decisions {
            cluster.scaling.set_decision(decision.id, Some(decision));
        }
        Ok(cluster)
    }
}
