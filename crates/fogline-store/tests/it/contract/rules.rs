//! What the schema refuses, whoever writes.

use fogline_core::cluster::Changes;
use fogline_core::record::DeploymentRecord;
use fogline_core::spec::Runtime;
use fogline_core::state::DeploymentStatus;
use fogline_store::CommitError;

use crate::backend::Backend;
use crate::world::{World, add, change};

fn refused(result: Result<u64, CommitError>, part: &str) {
    match result {
        Err(CommitError::Constraint { detail }) => assert!(detail.contains(part), "{detail}"),
        other => panic!("expected a refusal with {part:?}, got {other:?}"),
    }
}

fn deleted(world: &mut World) -> DeploymentRecord {
    let mut gone = world.deployment.clone();
    gone.status = DeploymentStatus::Deleted;
    gone.deleted_at = Some(world.rows.now());
    gone
}

pub async fn a_name_is_taken_until_its_deployment_is_deleted(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let twin = world.rows.deployment(&world.user.clone(), "web-api");
    let mut changes = Changes::default();
    add(&mut changes.deployments, twin.id, &twin);
    refused(world.store.commit(&world.lease, &changes).await, backend.words("deployments.name"));

    // Somebody else's may have the name.
    let other = world.rows.user("grace");
    let theirs = world.rows.deployment(&other, "web-api");
    let mut changes = Changes::default();
    add(&mut changes.users, other.id, &other);
    add(&mut changes.deployments, theirs.id, &theirs);
    world.commit(&changes).await;

    // And so may a later one, any number of times.
    let mut old = world.deployment.clone();
    for _ in 0..3 {
        let mut gone = old.clone();
        gone.status = DeploymentStatus::Deleted;
        gone.deleted_at = Some(world.rows.now());
        let mut changes = Changes::default();
        change(&mut changes.deployments, old.id, &old, &gone);
        world.commit(&changes).await;
        old = world.rows.deployment(&world.user.clone(), "web-api");
        let mut changes = Changes::default();
        add(&mut changes.deployments, old.id, &old);
        world.commit(&changes).await;
    }
    assert_eq!(world.store.load().await.expect("loads").deployments.len(), 3, "two live, one gone with a live replica");
}

pub async fn a_refused_batch_leaves_nothing(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let before = world.commit(&Changes::default()).await;
    let user = world.rows.user("grace");
    let twin = world.rows.user("ada");
    let gone = deleted(&mut world);
    let mut changes = Changes::default();
    change(&mut changes.deployments, gone.id, &world.deployment, &gone);
    add(&mut changes.users, user.id, &user);
    add(&mut changes.users, twin.id, &twin);
    refused(world.store.commit(&world.lease, &changes).await, backend.words("users.username"));
    assert_eq!(world.store.user_by_name("grace").await.expect("reads"), None);
    let kept = world.store.deployment(world.deployment.id).await.expect("reads");
    assert_eq!(kept, Some(world.deployment.clone()));
    assert_eq!(world.commit(&Changes::default()).await, before + 1, "no revision was used up");
}

pub async fn only_a_process_goes_without_an_image(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let user = world.user.clone();
    let mut process = world.rows.deployment(&user, "process");
    let mut spec = (*process.spec).clone();
    (spec.container_image, spec.runtime, spec.command) = (None, None, vec!["./serve".to_owned()]);
    process.spec = spec.clone().into();
    let mut changes = Changes::default();
    add(&mut changes.deployments, process.id, &process);
    world.commit(&changes).await;

    let mut docker = world.rows.deployment(&user, "docker");
    spec.name = "docker".to_owned();
    spec.runtime = Some(Runtime::Docker);
    docker.spec = spec.into();
    let mut changes = Changes::default();
    add(&mut changes.deployments, docker.id, &docker);
    refused(world.store.commit(&world.lease, &changes).await, backend.words("CHECK"));
}

pub async fn a_row_needs_its_parent(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let nobody = world.rows.user("nobody");
    let nowhere = world.rows.node("nowhere");
    let orphan = world.rows.deployment(&nobody, "orphan");
    let lost = world.rows.replica(&orphan, &world.node.clone());
    let adrift = world.rows.replica(&world.deployment.clone(), &nowhere);
    let mut batches: [Changes; 4] = Default::default();
    add(&mut batches[0].deployments, orphan.id, &orphan);
    add(&mut batches[1].replicas, lost.id, &lost);
    add(&mut batches[2].replicas, adrift.id, &adrift);
    batches[3].history.push(world.rows.history(&orphan, 1, "none", "pending"));
    for changes in batches {
        refused(world.store.commit(&world.lease, &changes).await, backend.words("FOREIGN KEY"));
    }
}

pub async fn a_change_of_a_row_that_is_not_there_is_refused(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let ghost = world.rows.replica(&world.deployment.clone(), &world.node.clone());
    let mut changes = Changes::default();
    change(&mut changes.replicas, ghost.id, &ghost, &ghost);
    refused(world.store.commit(&world.lease, &changes).await, backend.words("1 rows of deployment_replicas"));
    assert_eq!(world.store.replica(ghost.id).await.expect("reads"), None);

    // And one that is new must not be there.
    let mut changes = Changes::default();
    add(&mut changes.replicas, world.replica.id, &world.replica);
    refused(world.store.commit(&world.lease, &changes).await, backend.words("deployment_replicas.id"));
}
