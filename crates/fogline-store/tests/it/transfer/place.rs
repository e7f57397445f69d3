//! Where a restored SQLite database goes, and what becomes of the one that is there.

use std::fs;

use fogline_store::{Backup, OpenError, Restore, Restored, Store, StoreConfig, TransferError};

use super::{backup, restore};
use crate::backend::Backend;
use crate::world::{World, lead};

const REPLACE: Restore = Restore { replace: true, epoch_above: None, forget_keys: false };

/// A backup of a world of its own.
async fn sample() -> (World, Backup) {
    let backend = Backend::sqlite().await;
    let world = World::new(backend.open().await).await;
    world.store.close().await;
    let (_, file) = backup(&backend.config(), &[]).await;
    (world, Backup::open(file).await.expect("is whole"))
}

/// The names in the directory of a database.
fn names(backend: &Backend) -> Vec<String> {
    let entries = fs::read_dir(backend.file().parent().expect("a parent")).expect("is there").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

async fn is_restored(backend: &Backend, world: &World, restored: &Restored) {
    let store = backend.open().await;
    assert_eq!(store.load().await.expect("loads").users, std::slice::from_ref(&world.user));
    assert_eq!(lead(&store, "next").await.epoch, restored.epoch + 1);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_directory_is_made_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (world, whole) = sample().await;
    let to = Backend::sqlite().await;
    let restored = whole.restore(&to.config(), &Restore::default()).await.expect("restores");
    assert_eq!(names(&to), ["fogline.db", "fogline.lock"]);
    let mode = |path: &std::path::Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    assert_eq!((mode(&to.file()), mode(to.file().parent().expect("a parent"))), (0o600, 0o700));
    is_restored(&to, &world, &restored).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_rows_is_no_reason_to_refuse() {
    let (world, whole) = sample().await;
    let to = Backend::sqlite().await;
    to.open().await.close().await;
    let restored = whole.restore(&to.config(), &Restore::default()).await.expect("restores");
    assert_eq!(
        (restored.set_aside.as_ref(), names(&to)),
        (None, vec!["fogline.db".to_owned(), "fogline.lock".to_owned()])
    );
    is_restored(&to, &world, &restored).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_there_is_kept_unless_it_may_go() {
    let (world, whole) = sample().await;
    let to = Backend::sqlite().await;
    let other = World::new(to.open().await).await;
    other.store.close().await;
    let before = fs::read(to.file()).expect("reads");
    let error = whole.restore(&to.config(), &Restore::default()).await.expect_err("refused");
    assert!(matches!(error, TransferError::NotEmpty { .. }), "{error}");
    assert!(error.to_string().contains("users") && error.to_string().contains("leader"), "{error}");
    assert_eq!(fs::read(to.file()).expect("reads"), before, "nothing was changed");

    for number in 1..=2 {
        let restored = whole.restore(&to.config(), &REPLACE).await.expect("restores");
        let aside = restored.set_aside.clone().expect("the old one was set aside");
        assert!(aside.ends_with(format!("before-restore-{number}")));
        is_restored(&to, &world, &restored).await;
    }
    // The first of the two is what was there at the beginning, and works.
    let aside = to.file().with_file_name("before-restore-1").join("fogline.db");
    let store = Store::open(&StoreConfig::sqlite(aside)).await.expect("opens");
    assert_eq!(lead(&store, "again").await.cluster_id, other.lease.cluster_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_database_is_replaced_only_when_that_is_said() {
    let (world, whole) = sample().await;
    let to = Backend::sqlite().await;
    to.open().await.close().await;
    fs::write(to.file(), vec![0x5a; 100_000]).expect("damaged");
    fs::write(to.file().with_file_name("fogline.db-wal"), b"nonsense").expect("damaged");
    let error = whole.restore(&to.config(), &Restore::default()).await.expect_err("refused");
    assert!(error.to_string().contains("cannot be read"), "{error}");
    let restored = whole.restore(&to.config(), &REPLACE).await.expect("restores");
    let aside = restored.set_aside.clone().expect("set aside");
    assert_eq!(fs::read(aside.join("fogline.db")).expect("kept"), vec![0x5a; 100_000]);
    assert!(!to.file().with_file_name("fogline.db-wal").exists(), "no old log is beside the new database");
    is_restored(&to, &world, &restored).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_a_database_that_is_gone_is_kept_and_never_played_over_the_new_one() {
    let (world, whole) = sample().await;
    let (killed, to) = (Backend::sqlite().await, Backend::sqlite().await);
    let other = World::new(killed.open().await).await;
    // As they lie there when the server was killed: closing takes them away.
    fs::create_dir_all(to.file().parent().expect("a parent")).expect("made");
    for name in ["fogline.db-wal", "fogline.db-shm"] {
        fs::copy(killed.file().with_file_name(name), to.file().with_file_name(name)).expect("is there");
    }
    other.store.close().await;
    let log = fs::read(to.file().with_file_name("fogline.db-wal")).expect("reads");
    assert!(!log.is_empty(), "a real log");

    let error = whole.restore(&to.config(), &Restore::default()).await.expect_err("refused");
    assert!(matches!(error, TransferError::NotEmpty { .. }) && error.to_string().contains("db-wal"), "{error}");
    assert_eq!(names(&to), ["fogline.db-shm", "fogline.db-wal", "fogline.lock"], "nothing was changed");
    // An empty file has nothing that the log could be of, either.
    fs::write(to.file(), b"").expect("written");
    whole.restore(&to.config(), &Restore::default()).await.expect_err("refused");
    fs::remove_file(to.file()).expect("removed");

    let restored = whole.restore(&to.config(), &REPLACE).await.expect("restores");
    let aside = restored.set_aside.clone().expect("set aside");
    assert_eq!(fs::read(aside.join("fogline.db-wal")).expect("kept"), log);
    assert_eq!(names(&to), ["before-restore-1", "fogline.db", "fogline.lock"]);
    is_restored(&to, &world, &restored).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_beside_a_database_and_holds_nothing_is_no_reason_to_refuse() {
    let (world, whole) = sample().await;
    let to = Backend::sqlite().await;
    fs::create_dir_all(to.file().parent().expect("a parent")).expect("made");
    fs::write(to.file().with_file_name("fogline.db-wal"), b"").expect("written");
    fs::write(to.file().with_file_name("fogline.db-shm"), vec![0; 32_768]).expect("written");
    let restored = whole.restore(&to.config(), &Restore::default()).await.expect("restores");
    assert_eq!((restored.set_aside.as_ref(), names(&to).len()), (None, 2));
    is_restored(&to, &world, &restored).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_a_server_works_in_is_refused() {
    let (_, whole) = sample().await;
    let to = Backend::sqlite().await;
    let store = to.open().await;
    for how in [Restore::default(), REPLACE] {
        let error = whole.restore(&to.config(), &how).await.expect_err("refused");
        assert!(matches!(error, TransferError::Open(OpenError::Locked { .. })), "{error}");
    }
    lead(&store, "undisturbed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_attempt_that_was_killed_left_is_no_hindrance() {
    let (world, whole) = sample().await;
    let to = Backend::sqlite().await;
    let partial = to.file().with_file_name("restore.partial");
    fs::create_dir_all(&partial).expect("made");
    fs::write(partial.join("fogline.db"), b"half of it").expect("written");
    let restored = whole.restore(&to.config(), &Restore::default()).await.expect("restores");
    assert!(!partial.exists());
    is_restored(&to, &world, &restored).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_restored_as_often_as_one_likes() {
    let (_, whole) = sample().await;
    for _ in 0..2 {
        whole.restore(&Backend::sqlite().await.config(), &Restore::default()).await.expect("restores");
    }
    let (backend, again) = (Backend::sqlite().await, Backend::sqlite().await);
    let first = whole.restore(&backend.config(), &Restore::default()).await.expect("restores");
    let (_, file) = backup(&backend.config(), &[]).await;
    let second = restore(file, &again.config()).await.expect("restores");
    assert!(second.epoch > first.epoch, "a backup of what was restored goes above it in turn");
    assert_eq!(second.tables, first.tables);
}
