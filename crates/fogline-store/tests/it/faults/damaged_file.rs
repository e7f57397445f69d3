//! A database file that is not what was written.

use std::fs;

use fogline_core::cluster::Changes;
use fogline_store::{OpenError, Store};

use crate::backend::Backend;
use crate::world::{World, add};

/// A database of some hundred pages, closed, so that all of it is in the one file.
async fn database() -> (Backend, Vec<u8>) {
    let backend = Backend::sqlite().await;
    let mut world = World::new(backend.open().await).await;
    let (deployment, node) = (world.deployment.clone(), world.node.clone());
    let mut changes = Changes::default();
    for _ in 0..2_000 {
        let replica = world.rows.replica(&deployment, &node);
        add(&mut changes.replicas, replica.id, &replica);
    }
    world.commit(&changes).await;
    world.store.close().await;
    let bytes = fs::read(backend.file()).expect("reads");
    assert!(bytes.len() > 400_000 && !backend.file().with_extension("db-wal").exists());
    (backend, bytes)
}

async fn is_refused(backend: &Backend, bytes: &[u8], what: &str) {
    fs::write(backend.file(), bytes).expect("writes");
    let error = Store::open(&backend.config()).await.expect_err(what);
    assert!(matches!(error, OpenError::Corrupt { .. }), "{what}: {error:?}");
    let text = error.to_string();
    assert!(text.contains("fogline.db") && text.contains("backup"), "{what}: {text}");
    assert_eq!(fs::read(backend.file()).expect("reads"), bytes, "{what}: the file is kept as it was found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_page_is_found_at_the_start() {
    let (backend, good) = database().await;
    for page in [1, 20, good.len() / 4_096 - 1] {
        let mut bytes = good.clone();
        for byte in &mut bytes[page * 4_096..page * 4_096 + 512] {
            *byte ^= 0x5a;
        }
        is_refused(&backend, &bytes, &format!("page {page}")).await;
    }
    let mut bytes = good.clone();
    bytes[100..200].fill(0xff);
    is_refused(&backend, &bytes, "the schema").await;
    is_refused(&backend, &good[..good.len() / 2], "half a file").await;
    is_refused(&backend, b"this is no database, only a text that somebody has put here", "a text").await;

    fs::write(backend.file(), &good).expect("writes");
    let store = backend.open().await;
    assert_eq!(store.load().await.expect("loads").replicas.len(), 2_001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_or_file_that_cannot_be_used_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "in the way").expect("writes");
    let config = fogline_store::StoreConfig::sqlite(file.join("fogline.db"));
    let error = Store::open(&config).await.expect_err("a file is no directory");
    assert!(matches!(error, OpenError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains(&*file.to_string_lossy()), "{error}");

    let config = fogline_store::StoreConfig::sqlite(directory.path());
    let error = Store::open(&config).await.expect_err("a directory is no file");
    assert!(matches!(error, OpenError::Unusable { .. }), "{error:?}");
}
