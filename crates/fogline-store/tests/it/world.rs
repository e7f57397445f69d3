//! A small cluster to start from, and edits of it.

use std::hash::Hash;
use std::time::Duration;

use fogline_core::cluster::{Changes, Edits};
use fogline_core::record::{DeploymentRecord, NodeRecord, ReplicaRecord, UserRecord};
use fogline_store::{Candidate, Incumbent, Lease, Page, PageRequest, Store, StoreError, TakeOver};

use crate::rows::Rows;

/// Longer than any test takes.
pub const LEASE: Duration = Duration::from_secs(600);

/// One user, one node, one deployment with one replica, all committed.
pub struct World {
    pub rows: Rows,
    pub store: Store,
    pub lease: Lease,
    pub user: UserRecord,
    pub node: NodeRecord,
    pub deployment: DeploymentRecord,
    pub replica: ReplicaRecord,
}

impl World {
    pub async fn new(store: Store) -> Self {
        let lease = lead(&store, "first").await;
        let mut rows = Rows::new(7);
        let user = rows.user("ada");
        let node = rows.node("node-01");
        let deployment = rows.deployment(&user, "web-api");
        let replica = rows.replica(&deployment, &node);
        let mut changes = Changes::default();
        add(&mut changes.users, user.id, &user);
        add(&mut changes.nodes, node.id, &node);
        add(&mut changes.deployments, deployment.id, &deployment);
        add(&mut changes.replicas, replica.id, &replica);
        changes.revisions.push(rows.revision(&deployment));
        changes.history.push(rows.history(&deployment, 1, "none", "pending"));
        changes.history.push(rows.history(&deployment, 2, "pending", "running"));
        let world = Self { rows, store, lease, user, node, deployment, replica };
        world.commit(&changes).await;
        world
    }

    pub async fn commit(&self, changes: &Changes) -> u64 {
        self.store.commit(&self.lease, changes).await.expect("commits")
    }
}

/// Takes over from whomever, as a holder of this name.
pub async fn lead(store: &Store, holder: &str) -> Lease {
    let candidate = Candidate::new(holder, LEASE);
    match store.take_over(&candidate).await.expect("the database answers") {
        TakeOver::Won(lease) => lease,
        TakeOver::Held(Incumbent { epoch, holder, revision, .. }) => {
            let theirs = Lease { cluster_id: String::new(), epoch, holder, revision, lasts: None };
            store.release(&theirs).await.expect("released");
            store.take_over(&candidate).await.expect("the database answers").won().expect("nobody leads")
        }
    }
}

/// A row that is new.
pub fn add<K: Clone + Eq + Hash, T: Clone>(edits: &mut Edits<K, T>, key: K, row: &T) {
    edits.record(key, None, Some(row.clone()));
}

/// A row that changes.
pub fn change<K: Clone + Eq + Hash, T: Clone>(edits: &mut Edits<K, T>, key: K, before: &T, after: &T) {
    edits.record(key, Some(before.clone()), Some(after.clone()));
}

/// A row that goes.
pub fn remove<K: Clone + Eq + Hash, T: Clone>(edits: &mut Edits<K, T>, key: K, row: &T) {
    edits.record(key, Some(row.clone()), None);
}

/// Every row of a list, page by page.
pub async fn everything<T>(limit: u32, read: impl AsyncFn(PageRequest) -> Result<Page<T>, StoreError>) -> Vec<T> {
    let mut items = Vec::new();
    let mut request = PageRequest::first(limit);
    loop {
        let page = read(request).await.expect("a page");
        assert!(page.items.len() <= limit as usize);
        items.extend(page.items);
        let Some(next) = page.next else { return items };
        request = PageRequest::after(limit, next);
    }
}
