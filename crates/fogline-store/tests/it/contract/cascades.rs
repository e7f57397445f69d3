//! What goes along when a row is purged.

use fogline_core::cluster::Changes;
use fogline_store::PageRequest;

use crate::backend::Backend;
use crate::world::{World, add, remove};

pub async fn a_purged_node_leaves_its_replicas_without_one(backend: Backend) {
    let world = World::new(backend.open().await).await;
    let mut changes = Changes::default();
    remove(&mut changes.nodes, world.node.id, &world.node);
    world.commit(&changes).await;
    let replica = world.store.replica(world.replica.id).await.expect("reads").expect("is there");
    assert_eq!(replica.node_id, None);
    assert_eq!(replica.status, world.replica.status);
}

pub async fn a_purged_deployment_takes_everything_along(backend: Backend) {
    let world = World::new(backend.open().await).await;
    let mut changes = Changes::default();
    remove(&mut changes.deployments, world.deployment.id, &world.deployment);
    world.commit(&changes).await;
    for table in ["deployment_replicas", "deployment_resources", "deployment_revisions", "deployment_status_history"] {
        let left = backend.sql(format!("SELECT count(*) FROM {table}")).await.expect("reads");
        assert_eq!(left, [["0"]], "{table}");
    }
    assert!(world.store.user(world.user.id).await.expect("reads").is_some());
}

pub async fn a_purged_user_takes_deployments_and_leaves_history_of_others(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    // An administrator has stopped ada's deployment and changed its spec.
    let admin = world.rows.user("admin");
    let mut line = world.rows.history(&world.deployment.clone(), 3, "running", "stopped");
    line.changed_by = Some(admin.id);
    let mut revision = world.rows.revision(&world.deployment.clone());
    (revision.revision, revision.created_by) = (2, Some(admin.id));
    let mut changes = Changes::default();
    add(&mut changes.users, admin.id, &admin);
    changes.history.push(line.clone());
    changes.revisions.push(revision);
    world.commit(&changes).await;

    let mut changes = Changes::default();
    remove(&mut changes.users, admin.id, &admin);
    world.commit(&changes).await;
    let page = PageRequest::default();
    let lines = world.store.history(world.deployment.id, &page).await.expect("reads").items;
    line.changed_by = None;
    assert_eq!(lines[2], line, "only who it was is forgotten");
    assert_eq!(lines[1].changed_by, Some(world.user.id));
    let revision = world.store.revision(world.deployment.id, 2).await.expect("reads").expect("is there");
    assert_eq!(revision.created_by, None);

    let mut changes = Changes::default();
    remove(&mut changes.users, world.user.id, &world.user);
    world.commit(&changes).await;
    assert_eq!(world.store.deployment(world.deployment.id).await.expect("reads"), None);
    assert_eq!(world.store.replica(world.replica.id).await.expect("reads"), None);
}
