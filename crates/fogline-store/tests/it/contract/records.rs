//! What goes in comes out.

use std::time::Duration;

use fogline_core::cluster::Changes;
use fogline_core::command::Outcome;
use fogline_core::record::{AuditRecord, IdempotencyRecord, Liveness, Role, Runtimes, SessionRecord, Tier};
use fogline_core::state::{DeploymentStatus, ReplicaStatus};
use fogline_core::time::Timestamp;
use fogline_store::PageRequest;

use crate::backend::Backend;
use crate::world::{World, add, change, remove};

/// Later than the clock of any database that runs this.
const FAR: Timestamp = Timestamp::from_micros(9_000_000_000_000_000);

fn session(world: &mut World) -> SessionRecord {
    let now = world.rows.now();
    SessionRecord {
        id: world.rows.ids.next(now),
        user_id: world.user.id,
        refresh_hash: [0xa5; 32],
        created_at: now,
        expires_at: FAR,
        revoked_at: None,
    }
}

pub async fn every_record_comes_back_as_it_was(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let mut full = world.rows.replica(&world.deployment, &world.node);
    full.status = ReplicaStatus::Failed;
    full.host_port = Some(65_535);
    full.endpoint = Some("[::1]:31000".into());
    full.container_id = Some("4711".into());
    full.restarts = 3;
    full.replaces = Some(world.replica.id);
    full.exit_code = Some(-1);
    full.reason = Some("exited with 137 «killed»\n".into());
    full.started_at = Some(world.rows.now());
    full.stopped_at = Some(world.rows.now());
    let session = session(&mut world);
    let now = world.rows.now();
    let audit = AuditRecord {
        id: world.rows.ids.next(now),
        at: now,
        actor: Some(world.user.id),
        actor_name: "ada".to_owned(),
        action: "deployment.scale",
        object: world.deployment.id.to_string(),
        outcome: "ok".to_owned(),
        remote: Some("127.0.0.1:4711".to_owned()),
        detail: "3 to 5".to_owned(),
    };
    let outcome =
        Outcome::Scaled { deployment_id: world.deployment.id, status: DeploymentStatus::Running, from: 3, to: 5 };
    let answer = IdempotencyRecord {
        user_id: world.user.id,
        key: "'; DROP TABLE users; --".to_owned(),
        fingerprint: [9; 32],
        outcome,
        created_at: now,
    };
    let mut changes = Changes::default();
    add(&mut changes.replicas, full.id, &full);
    add(&mut changes.sessions, session.id, &session);
    changes.audit.push(audit.clone());
    changes.idempotency.push(answer.clone());
    world.commit(&changes).await;

    // Read by somebody who opens the same database anew, so nothing comes out of a memory.
    world.store.close().await;
    let store = backend.open().await;
    let page = PageRequest::default();
    assert_eq!(store.user(world.user.id).await.expect("reads"), Some(world.user.clone()));
    assert_eq!(store.user_by_name("ada").await.expect("reads"), Some(world.user.clone()));
    assert_eq!(store.user_by_name("ADA").await.expect("reads"), None);
    assert_eq!(store.node(world.node.id).await.expect("reads"), Some(world.node.clone()));
    assert_eq!(store.deployment(world.deployment.id).await.expect("reads"), Some(world.deployment.clone()));
    assert_eq!(store.replica(full.id).await.expect("reads"), Some(full.clone()));
    let both = store.replicas(world.deployment.id, &page, true).await.expect("reads").items;
    assert_eq!(both, [world.replica.clone(), full]);
    let live = store.replicas(world.deployment.id, &page, false).await.expect("reads").items;
    assert_eq!(live, [world.replica.clone()]);
    assert_eq!(store.session(session.id).await.expect("reads"), Some((session.clone(), world.user.clone())));
    assert_eq!(store.answered(&[(world.user.id, &answer.key)]).await.expect("reads"), [answer]);
    let line = &store.audit(&page).await.expect("reads").items[0];
    assert_eq!((line.id, line.at, line.actor), (audit.id, audit.at, audit.actor));
    assert_eq!((line.actor_name.as_str(), line.action.as_str()), ("ada", "deployment.scale"));
    assert_eq!((line.object.as_str(), line.outcome.as_str()), (audit.object.as_str(), "ok"));
    assert_eq!((line.remote.as_deref(), line.detail.as_str()), (Some("127.0.0.1:4711"), "3 to 5"));
    let revision = store.revision(world.deployment.id, 1).await.expect("reads").expect("is there");
    assert_eq!(revision.spec, world.deployment.spec);
    assert_eq!(revision.created_by, Some(world.user.id));

    let durable = store.load().await.expect("loads");
    assert_eq!(durable.users, [world.user]);
    assert_eq!(durable.nodes, [world.node]);
    assert_eq!(durable.deployments, [world.deployment]);
    assert_eq!(durable.replicas, [world.replica]);
    assert_eq!(durable.revisions, [revision]);
    assert_eq!(durable.sessions, [session]);
}

pub async fn changed_records_come_back_changed(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let session = session(&mut world);
    let mut changes = Changes::default();
    add(&mut changes.sessions, session.id, &session);
    world.commit(&changes).await;

    let mut user = world.user.clone();
    (user.role, user.tier, user.disabled) = (Role::Viewer, Tier::Enterprise, true);
    let mut node = world.node.clone();
    (node.liveness, node.cordoned, node.draining) = (Liveness::Offline, true, false);
    node.runtimes = Runtimes::default();
    node.labels.clear();
    let mut deployment = world.deployment.clone();
    let mut spec = (*deployment.spec).clone();
    (spec.replicas, spec.resources.memory_mb, spec.container_image) = (5, 4_096, Some("nginx:2".to_owned()));
    deployment.spec = spec.into();
    (deployment.target_replicas, deployment.revision, deployment.history_seq) = (5, 2, 3);
    let mut replica = world.replica.clone();
    (replica.status, replica.node_id, replica.restarts) = (ReplicaStatus::Running, None, 1);
    replica.endpoint = Some("10.0.0.1:31000".into());
    let mut rotated = session.clone();
    rotated.refresh_hash = [1; 32];
    rotated.revoked_at = Some(rotated.created_at.plus(Duration::from_secs(1)));

    let mut changes = Changes::default();
    change(&mut changes.users, user.id, &world.user, &user);
    change(&mut changes.nodes, node.id, &world.node, &node);
    change(&mut changes.deployments, deployment.id, &world.deployment, &deployment);
    change(&mut changes.replicas, replica.id, &world.replica, &replica);
    change(&mut changes.sessions, session.id, &session, &rotated);
    world.commit(&changes).await;

    let store = &world.store;
    assert_eq!(store.user(user.id).await.expect("reads"), Some(user.clone()));
    assert_eq!(store.node(node.id).await.expect("reads"), Some(node));
    assert_eq!(store.deployment(deployment.id).await.expect("reads"), Some(deployment));
    assert_eq!(store.replica(replica.id).await.expect("reads"), Some(replica));
    assert_eq!(store.session(session.id).await.expect("reads"), Some((rotated, user)));
    let resources = backend.sql("SELECT memory_mb FROM deployment_resources").await.expect("reads");
    assert_eq!(resources, [["4096"]]);
    assert_eq!(store.load().await.expect("loads").sessions, [], "a revoked session is over");
}

pub async fn removed_records_are_gone(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let session = session(&mut world);
    let mut changes = Changes::default();
    add(&mut changes.sessions, session.id, &session);
    world.commit(&changes).await;
    let mut changes = Changes::default();
    remove(&mut changes.sessions, session.id, &session);
    remove(&mut changes.replicas, world.replica.id, &world.replica);
    remove(&mut changes.deployments, world.deployment.id, &world.deployment);
    remove(&mut changes.nodes, world.node.id, &world.node);
    remove(&mut changes.users, world.user.id, &world.user);
    world.commit(&changes).await;
    for table in ["sessions", "deployment_replicas", "deployments", "nodes", "users"] {
        let left = backend.sql(format!("SELECT count(*) FROM {table}")).await.expect("reads");
        assert_eq!(left, [["0"]], "{table}");
    }
}

pub async fn rows_are_counted(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let mut ended = world.rows.replica(&world.deployment, &world.node);
    ended.status = ReplicaStatus::Stopped;
    let mut changes = Changes::default();
    add(&mut changes.replicas, ended.id, &ended);
    world.commit(&changes).await;
    let counts = world.store.counts().await.expect("counts");
    assert_eq!((counts.users, counts.nodes), (1, 1));
    assert_eq!(counts.deployments, [(DeploymentStatus::Running, 1)]);
    assert_eq!(counts.replicas, [(ReplicaStatus::Pending, 1), (ReplicaStatus::Stopped, 1)]);
    assert!(counts.database_bytes > 0);
}
