//! Backing up beside a server, which is another process and must not notice.

use fogline_core::cluster::Changes;
use fogline_store::Source;

use super::{backup, restore};
use crate::backend::Backend;
use crate::world::{World, add, lead};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_of_the_moment_it_began_and_writers_go_on() {
    let (from, to) = (Backend::sqlite().await, Backend::sqlite().await);
    let mut world = World::new(from.open().await).await;
    let source = Source::open(&from.config()).await.expect("opens beside the store that has the lock");
    assert!(source.is_in_use());
    let (taken, file) = source.back_up(&[], tempfile::tempfile().expect("a file")).await.expect("is backed up");
    for number in 0..50 {
        let user = world.rows.user(&format!("user-{number}"));
        let mut changes = Changes::default();
        add(&mut changes.users, user.id, &user);
        world.commit(&changes).await;
    }
    assert_eq!(taken.tables[0].rows, 1);
    restore(file, &to.config()).await.expect("restores");
    assert_eq!(to.open().await.load().await.expect("loads").users.len(), 1);
    assert_eq!(world.store.load().await.expect("loads").users.len(), 51);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_the_lock_is_taken_for_as_long_as_it_is_read() {
    let from = Backend::sqlite().await;
    World::new(from.open().await).await.store.close().await;
    let source = Source::open(&from.config()).await.expect("opens");
    assert!(!source.is_in_use());
    assert!(fogline_store::Store::open(&from.config()).await.is_err(), "no server starts in the middle");
    source.back_up(&[], tempfile::tempfile().expect("a file")).await.expect("is backed up");
    lead(&from.open().await, "next").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_server_left_in_its_log_is_in_the_backup() {
    let from = Backend::sqlite().await;
    let world = World::new(from.open().await).await;
    // A copy of the files as a crash leaves them: all of it is in the log.
    let crashed = Backend::sqlite().await;
    std::fs::create_dir_all(crashed.file().parent().expect("a parent")).expect("made");
    for suffix in ["", "-wal"] {
        let name = |backend: &Backend| format!("{}{suffix}", backend.file().display());
        std::fs::copy(name(&from), name(&crashed)).expect("copied");
    }
    let (taken, _) = backup(&crashed.config(), &[]).await;
    let (wanted, _) = backup(&from.config(), &[]).await;
    assert_eq!(taken.tables, wanted.tables);
    drop(world);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_refused_rather_than_backed_up_in_part() {
    let from = Backend::sqlite().await;
    let world = World::new(from.open().await).await;
    for _ in 0..5 {
        world.commit(&Changes::default()).await;
    }
    let crashed = Backend::sqlite().await;
    std::fs::create_dir_all(crashed.file().parent().expect("a parent")).expect("made");
    std::fs::copy(from.file(), crashed.file()).expect("copied");
    let mut log = std::fs::read(format!("{}-wal", from.file().display())).expect("a log");
    let middle = log.len() / 2;
    log[middle] ^= 0xff;
    std::fs::write(format!("{}-wal", crashed.file().display()), log).expect("written");
    let error = Source::open(&crashed.config()).await.err().expect("refused");
    assert!(error.to_string().contains("damaged"), "{error}");
}
