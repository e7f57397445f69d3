//! One process a data directory.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use fogline_store::{OpenError, Store, StoreConfig};

use super::child;
use crate::backend::Backend;
use crate::world::World;

const FILE: &str = "FOGLINE_STORE_TEST_FILE";
const OPEN: &str = "the store is open";

fn is_locked_by(result: Result<Store, OpenError>, expected: u32) {
    match result {
        Err(OpenError::Locked { file, pid }) => {
            assert_eq!(pid, Some(expected));
            assert!(file.ends_with("fogline.lock"));
            let text = OpenError::Locked { file, pid }.to_string();
            assert!(text.contains(&format!("process {expected}")) && text.contains("data directory"), "{text}");
        }
        other => panic!("a second process has it: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_is_kept_out_until_the_first_is_gone() {
    if child::is_child() {
        let file = PathBuf::from(child::value(FILE));
        let store = Store::open(&StoreConfig::sqlite(file)).await.expect("opens");
        store.migrate().await.expect("migrates");
        let _world = World::new(store).await;
        println!("{OPEN}");
        // Until the parent kills this process, or is gone itself.
        let _ = std::io::stdin().read(&mut [0]);
        return;
    }
    let backend = Backend::sqlite().await;
    let arguments = child::arguments("faults::second_open::another_process_is_kept_out_until_the_first_is_gone");
    let mut command = Command::new(&arguments[0]);
    command.args(&arguments[1..]).env(FILE, backend.file()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut first = child::prepare(&mut command).spawn().expect("runs");
    // Kept until the end: a child that cannot speak any more would end by itself.
    let mut said = BufReader::new(first.stdout.take().expect("piped")).lines();
    let opened = said.by_ref().map_while(Result::ok).any(|line| line.contains(OPEN));
    if opened {
        is_locked_by(Store::open(&backend.config()).await, first.id());
    }
    first.kill().expect("kill -9");
    first.wait().expect("is gone");
    assert!(opened, "the child has opened the store");

    let store = backend.open().await;
    assert_eq!(store.load().await.expect("what it acknowledged is there").replicas.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_process_is_kept_out_too() {
    let backend = Backend::sqlite().await;
    let store = backend.open().await;
    is_locked_by(Store::open(&backend.config()).await, std::process::id());
    // Another name for the same directory, and another file in it.
    let dotted = backend.file().parent().expect("a parent").join("../data/other.db");
    is_locked_by(Store::open(&StoreConfig::sqlite(dotted)).await, std::process::id());
    let clone = store.clone();
    drop(store);
    is_locked_by(Store::open(&backend.config()).await, std::process::id());
    clone.close().await;
    backend.open().await;
}
