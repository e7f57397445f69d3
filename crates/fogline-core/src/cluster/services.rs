//! Deployments as proxies are told of them.
//!
//! Decides which replicas take requests, and what a request is told that finds none. Built from rows and what was
//! observed at that moment; nothing here is kept. Invariants: what is stopping is told as leaving until it is gone; a
//! replica on a lost node gets nothing; proxies answer strangers, so nothing is told that agents or programs have worded.
//! Tests: `tests/it/front/services.rs`.

use std::collections::BTreeSet;

use super::routes::Front;
use super::{Cluster, Deployment};
use crate::id::DeploymentId;
use crate::record::ReplicaRecord;
use crate::spec::{HealthCheck, HealthSpec};
use crate::state::{DeploymentStatus, ReplicaStatus};
use crate::traffic::{Service, Upstream, UpstreamState};
use crate::trouble::Trouble;

impl Cluster {
    /// Every deployment that proxies are told of, by id.
    #[must_use]
    pub fn services(&self) -> Vec<Service> {
        let reached = self.drains.told().filter_map(|id| Some(self.replicas.get(&id)?.deployment_id));
        let told: BTreeSet<DeploymentId> = self.routes.routed().chain(reached).collect();
        told.into_iter().filter_map(|id| self.service(id)).collect()
    }

    /// A deployment as proxies are told of it; nothing where it has no route. One that has lost its routes, or is
    /// deleted, is told without any while it has replicas that may have requests from before.
    #[must_use]
    pub fn service(&self, id: DeploymentId) -> Option<Service> {
        let deployment = self.deployment(id)?;
        let record = &deployment.record;
        let bare;
        let front = match self.routes.front(id) {
            Some(front) => front,
            None if deployment.replicas.iter().any(|id| self.drains.is_told(*id)) => {
                bare = Front::leaving(record.user_id, &record.spec);
                &bare
            }
            None => return None,
        };
        let upstreams: Vec<Upstream> =
            self.replicas_of(deployment).filter_map(|replica| self.upstream(replica)).collect();
        let has_ready = upstreams.iter().any(|upstream| upstream.state == UpstreamState::Ready);
        Some(Service {
            deployment_id: id,
            name: front.name.clone(),
            owner: record.user_id,
            routes: front.routes.clone(),
            traffic: front.traffic.clone(),
            readiness: readiness(deployment),
            asleep: record.status.wants_replicas() && record.target_replicas == 0,
            serving: record.status.wants_replicas() || record.status == DeploymentStatus::Pending,
            trouble: if has_ready { None } else { self.trouble(deployment).map(|trouble| trouble.words().into()) },
            upstreams,
        })
    }

    fn upstream(&self, replica: &ReplicaRecord) -> Option<Upstream> {
        let state = match replica.status {
            ReplicaStatus::Pending | ReplicaStatus::Starting => UpstreamState::Starting,
            ReplicaStatus::Running if self.is_ready(replica) => UpstreamState::Ready,
            ReplicaStatus::Stopping => UpstreamState::Leaving,
            // It has been ready, and something is the matter with it.
            ReplicaStatus::Running | ReplicaStatus::Stopped | ReplicaStatus::Failed => return None,
        };
        let endpoint = replica.endpoint.clone().filter(|_| !self.is_lost(replica))?;
        Some(Upstream { replica_id: replica.id, endpoint, state })
    }

    /// The newest reason why replicas do not come up.
    fn trouble(&self, deployment: &Deployment) -> Option<Trouble> {
        let id = deployment.record.id;
        if deployment.record.status == DeploymentStatus::Failed {
            return Some(Trouble::NoRoom);
        }
        let failures = self.observed.failures.get(&id).filter(|failures| failures.in_a_row > 0);
        let ended = failures.and_then(|failures| Some((failures.last_at, failures.reason.clone()?)));
        let again = self.replicas_of(deployment).filter(|replica| replica.status.is_live() && replica.restarts > 0);
        let again = again.filter_map(|replica| Some((replica.updated_at, replica.reason.clone()?)));
        let newest = ended.into_iter().chain(again).max_by_key(|(at, _)| *at).map(|(_, reason)| reason);
        let newest = newest.map(|reason| Trouble::of(&reason));
        newest.or_else(|| self.waiting.contains(&id).then_some(Trouble::NoRoom))
    }
}

/// How a proxy finds out by itself that a starting replica can take requests. One that is ready when it runs is asked
/// for a connection: that is the first thing a request needs.
fn readiness(deployment: &Deployment) -> Option<HealthSpec> {
    if deployment.templates.values().any(|template| template.warm_up.is_some()) {
        return None;
    }
    let template = deployment.templates.get(&deployment.record.revision)?;
    let health = template.readiness(true);
    let check = if health.check == HealthCheck::None { HealthCheck::Tcp } else { health.check };
    Some(HealthSpec { check, ..health })
}
