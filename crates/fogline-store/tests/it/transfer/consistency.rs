//! Each backup is of one moment: rows that change together are never half changed in it.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fogline_core::cluster::Changes;
use fogline_store::StoreConfig;

use super::{backup, restore};
use crate::backend::Backend;
use crate::world::{World, add, change};

/// Writes until it is told to stop: each commit raises the deployment's count and its target together, changes the other
/// tables with it, and adds the line of history that belongs to it. Says how many there were.
async fn write(mut world: World, stop: Arc<AtomicBool>) -> u32 {
    let mut deployment = world.deployment.clone();
    let mut commits = 0;
    while !stop.load(Ordering::Relaxed) {
        let before = deployment.clone();
        deployment.history_seq += 1;
        deployment.revision += 1;
        let old = world.rows.replica(&deployment, &world.node);
        let mut changes = Changes::default();
        change(&mut changes.deployments, deployment.id, &before, &deployment);
        add(&mut changes.replicas, old.id, &old);
        changes.revisions.push(world.rows.revision(&deployment));
        changes.history.push(world.rows.history(&deployment, deployment.history_seq, "running", "running"));
        world.commit(&changes).await;
        commits += 1;
    }
    commits
}

/// What holds after each commit, and between none.
async fn holds(config: &StoreConfig) -> (u64, File) {
    let (taken, file) = backup(config, &[]).await;
    let rows = |table: &str| taken.tables.iter().find(|sum| sum.table == table).expect("is there").rows;
    let (revisions, history, replicas) =
        (rows("deployment_revisions"), rows("deployment_status_history"), rows("deployment_replicas"));
    // One of each to begin with, but two lines of history.
    assert_eq!((history, replicas), (revisions + 1, revisions));
    assert_eq!(taken.header.revision, revisions + 1, "the count in the header is of the same moment");
    (revisions, file)
}

/// The same, of what is in a row and not only how many there are.
async fn holds_restored(file: File, commits: u64) {
    let to = Backend::sqlite().await;
    restore(file, &to.config()).await.expect("restores");
    let deployment = to.open().await.load().await.expect("loads").deployments.remove(0);
    assert_eq!((u64::from(deployment.revision), u64::from(deployment.history_seq)), (commits, commits + 1));
}

async fn under_load(from: Backend) {
    let world = World::new(from.open().await).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(write(world, Arc::clone(&stop)));
    let mut seen = Vec::new();
    for round in 0..8 {
        let (revisions, file) = holds(&from.config()).await;
        if round % 4 == 0 {
            holds_restored(file, revisions).await;
        }
        seen.push(revisions);
    }
    stop.store(true, Ordering::Relaxed);
    let commits = u64::from(writing.await.expect("wrote")) + 1;
    assert!(seen.is_sorted() && seen.first() < seen.last(), "writers went on all the while: {seen:?}");
    let (revisions, file) = holds(&from.config()).await;
    assert_eq!(revisions, commits, "nothing was lost by it");
    holds_restored(file, revisions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_of_sqlite_under_load_are_each_of_one_moment() {
    under_load(Backend::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_of_postgres_under_load_are_each_of_one_moment() {
    under_load(Backend::postgres().await).await;
}
