//! What the image of a revision is: written once, later than the revision, and there for whoever takes over.

use fogline_core::cluster::Changes;
use fogline_core::image_digest::ImageDigest;
use fogline_core::state::ReplicaStatus;

use crate::backend::Backend;
use crate::world::{World, change};

fn digest(digit: &str) -> ImageDigest {
    format!("sha256:{}", digit.repeat(64)).parse().expect("a digest")
}

pub async fn a_digest_is_settled_later_and_loaded_for_ever(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let id = world.deployment.id;
    let read = async |world: &World, revision| {
        world.store.revision(id, revision).await.expect("reads").expect("the revision").image_digest
    };
    assert_eq!(read(&world, 1).await, None);
    // A revision may also be born with one.
    let mut stated = world.rows.revision(&world.deployment);
    (stated.revision, stated.image_digest) = (2, Some(digest("e")));
    world.commit(&Changes { revisions: vec![stated], ..Default::default() }).await;
    let mut changes = Changes::default();
    changes.image_digests.record((id, 1), None, Some(digest("a")));
    world.commit(&changes).await;
    assert_eq!((read(&world, 1).await, read(&world, 2).await), (Some(digest("a")), Some(digest("e"))));

    // Without a replica that runs it, too: whoever starts the deployment again needs it.
    let stopped = fogline_core::record::ReplicaRecord { status: ReplicaStatus::Stopped, ..world.replica.clone() };
    let mut changes = Changes::default();
    change(&mut changes.replicas, stopped.id, &world.replica, &stopped);
    world.commit(&changes).await;
    let loaded = world.store.load().await.expect("loads").revisions;
    let loaded: Vec<_> = loaded.into_iter().map(|revision| (revision.revision, revision.image_digest)).collect();
    assert_eq!(loaded, [(1, Some(digest("a")))], "the current one, and not what nobody runs");
}

pub async fn a_digest_that_is_none_is_damage(backend: Backend) {
    let world = World::new(backend.open().await).await;
    backend.sql("UPDATE deployment_revisions SET image_digest = 'latest'").await.expect("somebody edits the row");
    let error = world.store.revision(world.deployment.id, 1).await.expect_err("it is no digest").to_string();
    assert!(error.contains("image_digest") && error.contains("latest"), "{error}");
}
