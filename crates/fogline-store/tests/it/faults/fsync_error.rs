//! A disk that cannot write what it took: nothing is acknowledged from there on, and a later success proves nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fogline_core::cluster::Changes;
use fogline_store::{Candidate, CommitError, StoreError};

use super::child;
use crate::backend::Backend;
use crate::world::{LEASE, World, add, lead};

const ORDERS: &str = "FOGLINE_FSYNC_FAILS";

/// Runs a test in a process whose `fsync` fails on demand.
fn with_failing_fsync(test: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let library = directory.path().join("fsync_error.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults/fsync_error.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
    assert!(compiler.status().expect("a C compiler is installed, as for SQLite itself").success());
    let arguments = child::arguments(test);
    let mut command = Command::new(&arguments[0]);
    command.args(&arguments[1..]).env("LD_PRELOAD", &library).env(ORDERS, directory.path().join("orders"));
    child::assert_passed(&child::prepare(&mut command).output().expect("runs"));
}

/// From here on, the fsync of files with this ending fails; of none where it is nothing.
fn fail(ending: Option<&str>) {
    let orders = PathBuf::from(child::value(ORDERS));
    match ending {
        Some(ending) => fs::write(orders, ending).expect("writes"),
        None => fs::remove_file(orders).expect("removes"),
    }
}

fn grow(world: &mut World, replicas: usize) -> Changes {
    let (deployment, node) = (world.deployment.clone(), world.node.clone());
    let mut changes = Changes::default();
    for _ in 0..replicas {
        let replica = world.rows.replica(&deployment, &node);
        add(&mut changes.replicas, replica.id, &replica);
    }
    changes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_fsync_of_the_log_ends_all_writing() {
    if !child::is_child() {
        return with_failing_fsync("faults::fsync_error::a_failed_fsync_of_the_log_ends_all_writing");
    }
    let backend = Backend::sqlite().await;
    let mut world = World::new(backend.open().await).await;
    let changes = grow(&mut world, 10);
    world.commit(&changes).await;

    fail(Some("fogline.db-wal"));
    let changes = grow(&mut world, 10);
    let result = world.store.commit(&world.lease, &changes).await;
    assert!(matches!(result, Err(CommitError::Io { .. })), "{result:?}");
    // The disk is well again, and has forgotten what it could not write: still nothing is acknowledged.
    fail(None);
    for _ in 0..3 {
        let result = world.store.commit(&world.lease, &Changes::default()).await;
        assert!(matches!(result, Err(CommitError::Io { .. })), "{result:?}");
    }
    let result = world.store.take_over(&Candidate::new("again", LEASE)).await;
    assert!(matches!(result, Err(StoreError::Io { .. })), "{result:?}");
    assert_eq!(world.store.load().await.expect("reads go on").replicas.len(), 11);

    // The process that comes next starts from what was acknowledged; the batch that failed is there in full or not.
    world.store.close().await;
    let store = backend.open().await;
    let replicas = store.load().await.expect("loads").replicas.len();
    assert!(replicas == 11 || replicas == 21, "{replicas} replicas");
    let lease = lead(&store, "next").await;
    store.commit(&lease, &Changes::default()).await.expect("commits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_checkpoint_ends_all_writing() {
    if !child::is_child() {
        return with_failing_fsync("faults::fsync_error::a_failed_checkpoint_ends_all_writing");
    }
    let backend = Backend::sqlite().await;
    let mut world = World::new(backend.open().await).await;
    fail(Some("fogline.db"));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    let mut acknowledged = 1;
    // Commits go to the log, which is well, until what is in it has to move.
    loop {
        assert!(tokio::time::Instant::now() < deadline, "no checkpoint was ever made");
        let changes = grow(&mut world, 2_000);
        match world.store.commit(&world.lease, &changes).await {
            Ok(_) => acknowledged += 2_000,
            Err(CommitError::Io { .. }) => break,
            Err(other) => panic!("{other:?}"),
        }
    }
    fail(None);
    let result = world.store.commit(&world.lease, &Changes::default()).await;
    assert!(matches!(result, Err(CommitError::Io { .. })), "{result:?}");
    assert!(acknowledged > 2_000);
    world.store.close().await;
    let store = backend.open().await;
    assert_eq!(store.load().await.expect("loads").replicas.len(), acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_at_the_start_is_not_opened() {
    if !child::is_child() {
        return with_failing_fsync("faults::fsync_error::a_disk_that_fails_at_the_start_is_not_opened");
    }
    let backend = Backend::sqlite().await;
    let world = World::new(backend.open().await).await;
    let lease = world.lease.clone();
    // As after a death: the log is still there.
    let copy = Backend::sqlite().await;
    fs::create_dir_all(copy.file().parent().expect("a parent")).expect("a directory");
    for ending in ["", "-wal"] {
        let name = |backend: &Backend| format!("{}{ending}", backend.file().display());
        fs::copy(name(&backend), name(&copy)).expect("copies");
    }
    fail(Some("fogline.db"));
    assert!(fogline_store::Store::open(&copy.config()).await.is_err());
    fail(None);
    let store = copy.open().await;
    assert_eq!(store.load().await.expect("loads").replicas, [world.replica]);
    store.commit(&lease, &Changes::default()).await.expect("the lease is there too");
}
