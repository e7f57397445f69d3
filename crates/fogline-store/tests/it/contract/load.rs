//! What a leader starts from.

use fogline_core::cluster::{Changes, Cluster};
use fogline_core::id::IdSource;
use fogline_core::record::SessionRecord;
use fogline_core::settings::Settings;
use fogline_core::state::{DeploymentStatus, ReplicaStatus};
use fogline_core::time::Timestamp;

use crate::backend::Backend;
use crate::rows::START;
use crate::world::{World, add, change};

pub async fn what_is_over_is_not_loaded(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let (user, node) = (world.user.clone(), world.node.clone());
    let mut gone = world.rows.deployment(&user, "gone");
    gone.status = DeploymentStatus::Deleted;
    gone.deleted_at = Some(world.rows.now());
    let mut changes = Changes::default();
    add(&mut changes.deployments, gone.id, &gone);
    for (deployment, status) in [
        (&gone, ReplicaStatus::Stopped),
        (&world.deployment.clone(), ReplicaStatus::Stopped),
        (&world.deployment.clone(), ReplicaStatus::Failed),
    ] {
        let mut replica = world.rows.replica(deployment, &node);
        replica.status = status;
        add(&mut changes.replicas, replica.id, &replica);
    }
    for (expires_at, revoked_at) in [(START, None), (Timestamp::from_micros(i64::MAX), Some(START))] {
        let now = world.rows.now();
        let session = SessionRecord {
            id: world.rows.ids.next(now),
            user_id: user.id,
            refresh_hash: [0; 32],
            created_at: now,
            expires_at,
            revoked_at,
        };
        add(&mut changes.sessions, session.id, &session);
    }
    world.commit(&changes).await;
    let durable = world.store.load().await.expect("loads");
    assert_eq!(durable.deployments, [world.deployment.clone()]);
    assert_eq!(durable.replicas, [world.replica.clone()]);
    assert_eq!(durable.sessions, []);
    Cluster::load(durable, Settings::default(), IdSource::new(1), START).expect("a cluster");
}

pub async fn a_deleted_deployment_is_loaded_while_replicas_live(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let mut gone = world.deployment.clone();
    gone.status = DeploymentStatus::Deleted;
    gone.deleted_at = Some(world.rows.now());
    let mut stopping = world.replica.clone();
    stopping.status = ReplicaStatus::Stopping;
    let mut changes = Changes::default();
    change(&mut changes.deployments, gone.id, &world.deployment, &gone);
    change(&mut changes.replicas, stopping.id, &world.replica, &stopping);
    world.commit(&changes).await;
    let durable = world.store.load().await.expect("loads");
    assert_eq!((&durable.deployments, &durable.replicas), (&vec![gone], &vec![stopping.clone()]));
    assert_eq!(durable.revisions.len(), 1);
    Cluster::load(durable, Settings::default(), IdSource::new(1), START).expect("a cluster");

    let mut stopped = stopping.clone();
    stopped.status = ReplicaStatus::Stopped;
    let mut changes = Changes::default();
    change(&mut changes.replicas, stopped.id, &stopping, &stopped);
    world.commit(&changes).await;
    let durable = world.store.load().await.expect("loads");
    assert!(durable.deployments.is_empty() && durable.replicas.is_empty() && durable.revisions.is_empty());
}

pub async fn old_revisions_are_loaded_while_replicas_run_them(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let mut newer = world.deployment.clone();
    newer.revision = 3;
    let mut changes = Changes::default();
    for revision in [2, 3] {
        let mut record = world.rows.revision(&newer);
        record.revision = revision;
        changes.revisions.push(record);
    }
    change(&mut changes.deployments, newer.id, &world.deployment, &newer);
    let replica = world.rows.replica(&newer, &world.node.clone());
    add(&mut changes.replicas, replica.id, &replica);
    world.commit(&changes).await;
    let durable = world.store.load().await.expect("loads");
    assert_eq!(durable.revisions.iter().map(|record| record.revision).collect::<Vec<_>>(), [1, 3]);
    Cluster::load(durable, Settings::default(), IdSource::new(1), START).expect("a cluster");
}
