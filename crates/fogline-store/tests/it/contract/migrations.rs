//! The schema goes up and down, and never silently meets a program that it is not for.

use fogline_core::cluster::Changes;
use fogline_store::{Candidate, OpenError, Store, StoreError};

use super::scaling::a_policy;
use crate::backend::Backend;
use crate::world::{LEASE, World, add, lead};

/// How many there are.
const STEPS: usize = 6;

pub async fn up_down_up_keeps_what_has_room(backend: Backend) {
    let store = backend.open_bare().await;
    assert!(store.migrations().await.expect("reads").iter().all(|step| !step.applied));
    assert_eq!(store.migrate().await.expect("migrates"), STEPS);
    assert_eq!(store.migrate().await.expect("migrates"), 0, "a second time there is nothing to do");
    assert!(store.migrations().await.expect("reads").iter().all(|step| step.applied));

    let world = World::new(store.clone()).await;
    let before = store.load().await.expect("loads");
    assert_eq!(store.revert(4).await.expect("reverts"), 4);
    let applied: Vec<bool> = store.migrations().await.expect("reads").iter().map(|step| step.applied).collect();
    assert_eq!(applied, [true, true, false, false, false, false]);
    assert!(backend.sql("SELECT * FROM leader").await.is_err(), "what came with the steps went with them");
    assert_eq!(backend.sql("SELECT count(*) FROM deployment_status_history").await.expect("reads"), [["2"]]);

    assert_eq!(store.migrate().await.expect("migrates"), 4);
    let after = store.load().await.expect("loads");
    assert_eq!(after.users, before.users);
    assert_eq!(after.deployments, before.deployments);
    assert_eq!(after.replicas, before.replicas);
    // The lease went with its table, and the old one does not come back to life.
    assert!(store.commit(&world.lease, &Changes::default()).await.is_err());
    assert_eq!(lead(&store, "again").await.epoch, 1);
}

/// What an older program has no room for goes, all else stays, and commits work on both sides of the step.
pub async fn scaling_goes_down_and_comes_up_with_rows_in_it(backend: Backend) {
    let mut world = World::new(backend.open().await).await;
    let policy = a_policy(&mut world, "by-lag").await;
    let (state, decision) = (world.rows.scaling_state(&policy), world.rows.decision(&policy, 1, 2));
    let mut changes = Changes::default();
    add(&mut changes.scaling_states, state.target.clone(), &state);
    add(&mut changes.decisions, decision.id, &decision);
    world.commit(&changes).await;
    let all = backend.everything().await;
    assert_eq!(world.store.revert(1).await.expect("reverts"), 1);
    assert!(backend.everything().await.concat().iter().all(|name| !name.contains("scaling")));
    assert!(world.store.policy(policy.id).await.is_err());
    // As the older program does it: its batches are written by what it knows.
    let user = world.rows.user("grace");
    let mut changes = Changes::default();
    add(&mut changes.users, user.id, &user);
    world.commit(&changes).await;

    assert_eq!(world.store.migrate().await.expect("migrates"), 1);
    assert_eq!(sorted(backend.everything().await), sorted(all));
    let durable = world.store.load().await.expect("loads");
    assert_eq!((durable.users.len(), durable.deployments.len(), durable.policies.len()), (2, 1, 0));
    assert!(durable.scaling_states.is_empty());
    let again = a_policy(&mut world, "by-lag").await;
    assert_eq!(world.store.load().await.expect("loads").policies, [again]);
}

fn sorted(mut names: Vec<Vec<String>>) -> Vec<Vec<String>> {
    names.sort();
    names
}

pub async fn down_to_nothing_and_up_again(backend: Backend) {
    let store = backend.open().await;
    World::new(store.clone()).await;
    assert_eq!(store.revert(usize::MAX).await.expect("reverts"), STEPS);
    assert_eq!(backend.everything().await, [["schema_migrations"]]);
    assert_eq!(store.revert(1).await.expect("reverts"), 0);
    assert_eq!(store.migrate().await.expect("migrates"), STEPS);
    assert!(store.load().await.expect("loads").users.is_empty());
    World::new(store).await;
}

pub async fn a_database_without_schema_says_what_to_do(backend: Backend) {
    let store = backend.open_bare().await;
    for error in [
        store.take_over(&Candidate::new("x", LEASE)).await.map(|_| ()).expect_err("no schema"),
        store.load().await.map(|_| ()).expect_err("no schema"),
    ] {
        assert!(matches!(error, StoreError::NotMigrated { applied: 0, known: STEPS }), "{error:?}");
        assert!(error.to_string().contains("fogline db migrate"), "{error}");
    }
}

pub async fn a_newer_database_is_refused(backend: Backend) {
    let store = backend.open().await;
    store.close().await;
    let note = "INSERT INTO schema_migrations (version, description, success, checksum, execution_time) \
        SELECT 4711, 'from the future', TRUE, checksum, 0 FROM schema_migrations WHERE version = 1";
    backend.sql(note).await.expect("writes");
    let error = Store::open(&backend.config()).await.expect_err("is refused");
    assert!(matches!(error, OpenError::TooNew { found: 4711, known: 6, .. }), "{error:?}");
    assert!(error.to_string().contains("newer program"), "{error}");
}

pub async fn a_migration_of_another_text_is_refused(backend: Backend) {
    let store = backend.open().await;
    let other = "UPDATE schema_migrations SET checksum = (SELECT checksum FROM schema_migrations WHERE version = 1) \
        WHERE version = 2";
    backend.damage(other).await;
    let error = store.migrate().await.expect_err("is refused");
    assert!(matches!(error, StoreError::Migration { version: 2, .. }), "{error:?}");
}
