//! What a commit changed, as watchers are told, and who may see it: the same as in the lists.

use std::collections::HashMap;

use fogline_api::http::{ChangeKind, ChangedObject, EventResponse};
use fogline_core::Cluster;
use fogline_core::cluster::{Changes, Edit};
use fogline_core::id::{DeploymentId, UserId};
use fogline_core::record::{DeploymentRecord, NodeRecord, ReplicaRecord};

/// One object's change.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) event: EventResponse,
    audience: Audience,
}

#[derive(Clone, Copy, Debug)]
enum Audience {
    Everybody,
    /// Beside administrators.
    Owner(UserId),
    Administrators,
}

impl Change {
    /// Whether somebody who sees the objects of this user, or of all users, may see it.
    pub(super) fn is_visible(&self, sees: Option<UserId>) -> bool {
        match (self.audience, sees) {
            (_, None) | (Audience::Everybody, _) => true,
            (Audience::Owner(owner), Some(user)) => owner == user,
            (Audience::Administrators, Some(_)) => false,
        }
    }
}

/// How many objects a commit has touched, at most.
pub(super) fn count(changes: &Changes) -> usize {
    changes.nodes.len() + changes.deployments.len() + changes.replicas.len()
}

/// What a commit changed: nodes, then deployments, then replicas.
pub(super) fn of(cluster: &Cluster, changes: &Changes, revision: u64) -> Vec<Change> {
    let mut found = Vec::with_capacity(count(changes));
    let mut add = |seen: Option<(ChangeKind, ChangedObject)>, audience| {
        // What was added and removed in one commit never was.
        let Some((change, object)) = seen else { return };
        found.push(Change { event: EventResponse { revision, change, object }, audience });
    };
    for (_, edit) in changes.nodes.iter() {
        add(seen(edit, node), Audience::Everybody);
    }
    // A deployment that is gone is not in the cluster any more.
    let mut owners: HashMap<DeploymentId, UserId> = HashMap::new();
    for (id, edit) in changes.deployments.iter() {
        let Some(record) = edit.after.as_ref().or(edit.before.as_ref()) else { continue };
        owners.insert(id, record.user_id);
        add(seen(edit, deployment), Audience::Owner(record.user_id));
    }
    let owner = |id| owners.get(&id).copied().or_else(|| Some(cluster.deployment(id)?.record.user_id));
    for (_, edit) in changes.replicas.iter() {
        let Some(record) = edit.after.as_ref().or(edit.before.as_ref()) else { continue };
        add(seen(edit, replica), owner(record.deployment_id).map_or(Audience::Administrators, Audience::Owner));
    }
    found
}

fn seen<T>(edit: &Edit<T>, shown: impl Fn(&T) -> ChangedObject) -> Option<(ChangeKind, ChangedObject)> {
    match (&edit.before, &edit.after) {
        (None, Some(after)) => Some((ChangeKind::Added, shown(after))),
        (Some(_), Some(after)) => Some((ChangeKind::Changed, shown(after))),
        (Some(before), None) => Some((ChangeKind::Removed, shown(before))),
        (None, None) => None,
    }
}

fn node(record: &NodeRecord) -> ChangedObject {
    ChangedObject::Node {
        id: record.id,
        name: record.name.clone(),
        liveness: record.liveness,
        cordoned: record.cordoned,
        draining: record.draining,
    }
}

fn deployment(record: &DeploymentRecord) -> ChangedObject {
    ChangedObject::Deployment {
        id: record.id,
        name: record.spec.name.clone(),
        user_id: record.user_id,
        status: record.status,
        target_replicas: record.target_replicas,
    }
}

fn replica(record: &ReplicaRecord) -> ChangedObject {
    ChangedObject::Replica {
        id: record.id,
        deployment_id: record.deployment_id,
        node_id: record.node_id,
        status: record.status,
        restarts: record.restarts,
    }
}
