//! A write-ahead log that ends in the middle, and one that is damaged in the middle: the first is what a crash leaves,
//! the second would silently lose what was acknowledged.

use std::fs;

use fogline_store::{OpenError, Store};

use crate::backend::Backend;
use crate::world::{World, add, lead};

/// What a power cut leaves of three acknowledged commits and the one after them.
struct Crash {
    database: Vec<u8>,
    /// The log, and how much of it the acknowledged commits take.
    log: Vec<u8>,
    acknowledged: usize,
}

async fn crash() -> Crash {
    let backend = Backend::sqlite().await;
    let mut world = World::new(backend.open().await).await;
    let log = format!("{}-wal", backend.file().display());
    let mut acknowledged = 0;
    for name in ["one", "two", "three", "four"] {
        acknowledged = fs::metadata(&log).expect("a log").len();
        let user = world.rows.user(name);
        let mut changes = fogline_core::cluster::Changes::default();
        add(&mut changes.users, user.id, &user);
        world.commit(&changes).await;
    }
    let (database, log) = (fs::read(backend.file()).expect("reads"), fs::read(log).expect("reads"));
    Crash { database, log, acknowledged: usize::try_from(acknowledged).expect("small") }
}

/// Opens what a crash left, with this log.
async fn open(crash: &Crash, log: &[u8]) -> (Backend, Result<Store, OpenError>) {
    let backend = Backend::sqlite().await;
    fs::create_dir_all(backend.file().parent().expect("a parent")).expect("a directory");
    fs::write(backend.file(), &crash.database).expect("writes");
    fs::write(format!("{}-wal", backend.file().display()), log).expect("writes");
    let store = Store::open(&backend.config()).await;
    (backend, store)
}

async fn has(store: &Store, name: &str) -> bool {
    store.user_by_name(name).await.expect("reads").is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_end_loses_nothing_that_was_acknowledged() {
    let crash = crash().await;
    let (end, torn) = (crash.acknowledged, &crash.log[crash.acknowledged..]);
    let mut logs = Vec::new();
    for kept in [0, 1, 24, 100, torn.len() / 2, torn.len() - 1] {
        logs.push(crash.log[..end + kept].to_vec());
        // The file had grown, and its end was not written.
        logs.push([&crash.log[..end + kept], &vec![0; torn.len() - kept]].concat());
        // Another file's old blocks.
        logs.push([&crash.log[..end + kept], &vec![0xa5; 9_000]].concat());
    }
    // The pages of the last commit came to the disk in another order: the first is missing, the last is there.
    let mut reordered = crash.log.clone();
    reordered[end..end + 1_000].fill(0);
    logs.push(reordered);
    // Where the last byte is a zero anyway, a zero in its place has torn nothing.
    logs.retain(|log| *log != crash.log);
    for (number, log) in logs.iter().enumerate() {
        let (_backend, store) = open(&crash, log).await;
        let store = store.unwrap_or_else(|error| panic!("log {number}: {error}"));
        for name in ["ada", "one", "two", "three"] {
            assert!(has(&store, name).await, "log {number} has lost {name}");
        }
        assert!(!has(&store, "four").await, "log {number} has half a commit");
        let lease = lead(&store, "next").await;
        store.commit(&lease, &Default::default()).await.expect("goes on");
        store.close().await;
    }
    let (_backend, store) = open(&crash, &crash.log).await;
    assert!(has(&store.expect("opens"), "four").await, "and with all of its log nothing is lost at all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_before_the_end_is_never_taken_for_it() {
    let crash = crash().await;
    for at in [0, 8, 17, 30, 32, 40, 50, 500, crash.acknowledged / 2] {
        let mut log = crash.log.clone();
        log[at] ^= 0x10;
        let (backend, store) = open(&crash, &log).await;
        let error = store.err().unwrap_or_else(|| panic!("a log that is damaged at byte {at} was opened"));
        assert!(matches!(error, OpenError::Corrupt { .. }), "byte {at}: {error:?}");
        assert!(error.to_string().contains("write-ahead log"), "{error}");
        let kept = fs::read(format!("{}-wal", backend.file().display())).expect("is still there");
        assert_eq!(kept, log, "nothing was changed");
    }
}
