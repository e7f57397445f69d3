//! What only shows when much happens at once.

use std::time::Duration;

use fogline_core::cluster::Changes;
use fogline_core::state::DeploymentStatus;

use crate::backend::Backend;
use crate::world::{World, add, change, everything, remove};

pub async fn a_name_is_free_within_the_batch_that_frees_it(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    // Deleted and made again, then everything purged and made again, each in one batch.
    let mut gone = world.deployment.clone();
    gone.status = DeploymentStatus::Deleted;
    gone.deleted_at = Some(world.rows.now());
    let again = world.rows.deployment(&world.user.clone(), "web-api");
    let mut changes = Changes::default();
    change(&mut changes.deployments, gone.id, &world.deployment, &gone);
    add(&mut changes.deployments, again.id, &again);
    world.commit(&changes).await;

    let user = world.rows.user("ada");
    let node = world.rows.node("node-01");
    let third = world.rows.deployment(&user, "web-api");
    let mut changes = Changes::default();
    remove(&mut changes.users, world.user.id, &world.user);
    add(&mut changes.users, user.id, &user);
    remove(&mut changes.nodes, world.node.id, &world.node);
    add(&mut changes.nodes, node.id, &node);
    remove(&mut changes.deployments, again.id, &again);
    add(&mut changes.deployments, third.id, &third);
    world.commit(&changes).await;
    assert_eq!(world.store.user_by_name("ada").await.expect("reads"), Some(user));
    let durable = world.store.load().await.expect("loads");
    assert_eq!((durable.nodes, durable.deployments), (vec![node], vec![third]));
}

pub async fn a_large_batch_is_written_in_full(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    // Not a multiple of anything that statements are made in.
    let replicas: Vec<_> =
        (0..1_003).map(|_| world.rows.replica(&world.deployment.clone(), &world.node.clone())).collect();
    let mut changes = Changes::default();
    for replica in &replicas {
        add(&mut changes.replicas, replica.id, replica);
    }
    world.commit(&changes).await;
    let id = world.deployment.id;
    let read = everything(97, async |page| world.store.replicas(id, &page, false).await).await;
    assert_eq!(read[1..], replicas[..]);
}

pub async fn a_caller_who_goes_away_leaves_the_writer_usable(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let node = world.node.clone();
    for round in 0_u32..40 {
        let mut changes = Changes::default();
        for _ in 0..50 {
            let replica = world.rows.replica(&world.deployment.clone(), &node);
            add(&mut changes.replicas, replica.id, &replica);
        }
        // Gives up somewhere in the middle, each time elsewhere.
        let patience = Duration::from_micros(u64::from(round) * 100);
        let _ = tokio::time::timeout(patience, world.store.commit(&world.lease, &changes)).await;
        world.commit(&Changes::default()).await;
    }
    // Each batch is there in full or not at all.
    let live = world.store.load().await.expect("loads").replicas.len();
    assert_eq!(live % 50, 1, "{live} replicas");
}
