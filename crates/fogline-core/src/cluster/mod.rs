//! The cluster in memory: durable rows, indexes over them, and what was observed.
//!
//! Every change of a durable row goes through a `put_…` of [`edit`], which keeps the indexes and records the edit.
//! Must never decide: that is [`crate::command`]'s and [`crate::planner`]'s.

mod changes;
mod drain;
mod edit;
mod labels;
mod load;
mod lookup;
mod nodes;
mod notice;
mod observed;
mod proxies;
mod routes;
mod scaling;
mod services;
mod settle;
mod wakes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::id::{DeploymentId, IdSource, ReplicaId, SessionId, UserId};
use crate::image_digest::ImageDigest;
use crate::record::{DeploymentRecord, ReplicaRecord, SessionRecord, UserRecord};
use crate::settings::Settings;
use crate::spec::ReplicaTemplate;
use crate::time::Timestamp;

use drain::{DrainBook, Untold};
pub(crate) use edit::stated_digest;
pub(crate) use proxies::MAX_PROXIES;
use proxies::ProxyBook;
use routes::RouteBook;
use wakes::WakeBudget;

pub use changes::{Changes, Edit, Edits, RevisionRecord};
pub use labels::{LabelIndex, NODE_LABEL, REGION_LABEL, ZONE_LABEL, label};
pub use load::{Durable, LoadError};
pub use nodes::{NodeIndex, NodeTable, UNKNOWN_LOAD_PERCENT};
pub use observed::{Failures, NodeObserved, Observed, ReplicaObserved};
pub use scaling::{ScalingBook, TargetView};

/// A deployment with what hangs on it.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Its row.
    pub record: DeploymentRecord,
    /// The template of its revision, and of older ones that replicas still run.
    pub templates: BTreeMap<u32, Arc<ReplicaTemplate>>,
    /// What the images of those revisions are, as far as it is known. Never another once it is.
    pub image_digests: BTreeMap<u32, ImageDigest>,
    /// Its replicas that are not gone, oldest first.
    pub replicas: BTreeSet<ReplicaId>,
}

/// The whole cluster. Users, sessions, nodes, deployments that are not gone, and replicas that are not gone.
#[derive(Clone, Debug)]
pub struct Cluster {
    settings: Settings,
    ids: IdSource,
    users: HashMap<UserId, UserRecord>,
    usernames: HashMap<String, UserId>,
    sessions: HashMap<SessionId, SessionRecord>,
    nodes: NodeTable,
    deployments: HashMap<DeploymentId, Deployment>,
    by_owner: HashMap<UserId, BTreeSet<DeploymentId>>,
    names: HashMap<(UserId, String), DeploymentId>,
    replicas: HashMap<ReplicaId, ReplicaRecord>,
    scaling: ScalingBook,
    observed: Observed,
    routes: RouteBook,
    proxies: ProxyBook,
    drains: DrainBook,
    wakes: WakeBudget,
    untold: Untold,
    /// Deployments to be planned before the batch ends.
    dirty: BTreeSet<DeploymentId>,
    /// Deployments that lack room; looked at again whenever room appears.
    waiting: BTreeSet<DeploymentId>,
    /// When a deployment wants to be looked at again without anything having happened.
    rechecks: BTreeSet<(Timestamp, DeploymentId)>,
    /// No node can have been silent for too long before this.
    next_silence_check: Timestamp,
    /// Whether room has appeared since the waiting ones were last looked at.
    room_appeared: bool,
}

impl Cluster {
    /// The settings it decides by.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A user.
    #[must_use]
    pub fn user(&self, id: UserId) -> Option<&UserRecord> {
        self.users.get(&id)
    }

    /// All users, in no order.
    pub fn users(&self) -> impl Iterator<Item = &UserRecord> {
        self.users.values()
    }

    /// The nodes.
    #[must_use]
    pub const fn nodes(&self) -> &NodeTable {
        &self.nodes
    }

    /// A deployment that is not gone.
    #[must_use]
    pub fn deployment(&self, id: DeploymentId) -> Option<&Deployment> {
        self.deployments.get(&id)
    }

    /// All deployments that are not gone, in no order.
    pub fn deployments(&self) -> impl Iterator<Item = &Deployment> {
        self.deployments.values()
    }

    /// A replica that is not gone.
    #[must_use]
    pub fn replica(&self, id: ReplicaId) -> Option<&ReplicaRecord> {
        self.replicas.get(&id)
    }

    /// All replicas that are not gone, in no order.
    pub fn replicas(&self) -> impl Iterator<Item = &ReplicaRecord> {
        self.replicas.values()
    }

    /// The replicas of a deployment that are not gone, oldest first.
    pub fn replicas_of<'a>(&'a self, deployment: &'a Deployment) -> impl Iterator<Item = &'a ReplicaRecord> {
        deployment.replicas.iter().filter_map(|id| self.replicas.get(id))
    }

    pub(crate) const fn proxies(&self) -> &ProxyBook {
        &self.proxies
    }

    pub(crate) const fn proxies_mut(&mut self) -> &mut ProxyBook {
        &mut self.proxies
    }

    pub(crate) const fn wakes_mut(&mut self) -> &mut WakeBudget {
        &mut self.wakes
    }

    /// What was observed.
    #[must_use]
    pub const fn observed(&self) -> &Observed {
        &self.observed
    }
}
