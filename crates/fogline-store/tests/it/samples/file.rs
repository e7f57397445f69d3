//! The file of samples is never a reason not to start.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fogline_store::{OpenError, SampleStore, SamplesConfig, StoreError};
use tempfile::TempDir;

use super::{SECOND, key, point, range};

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("data/samples.db");
    (directory, file)
}

async fn open(file: &Path) -> SampleStore {
    SampleStore::open(&SamplesConfig::Sqlite { file: file.to_owned() }).await.expect("opens")
}

fn damaged(file: &Path) -> PathBuf {
    file.with_file_name("samples.db.damaged")
}

/// A closed file with many pages of rows.
async fn filled(file: &Path) {
    let store = open(file).await;
    for batch in 0..20 {
        let points: Vec<_> =
            (0..500).map(|series| (key(&format!("m{series}")), point(f64::from(batch) * 10.0, 1.0).1)).collect();
        store.append(&points).await.expect("adds");
    }
    store.close().await;
}

async fn works(store: &SampleStore) {
    store.append(&[point(1.0, 2.0)]).await.expect("adds");
    assert_eq!(range(store, "a", 0.0, 10.0, SECOND).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_file_of_samples_is_set_aside() {
    for spoil in [
        (|file: &Path| fs::write(file, "no database at all, but long enough to be one".repeat(99)).expect("writes"))
            as fn(&Path),
        // Cut in the middle of a page.
        |file| {
            let length = fs::metadata(file).expect("a length").len();
            fs::File::options().write(true).open(file).and_then(|file| file.set_len(length / 2 + 17)).expect("cuts");
        },
        // Pages of zeros in the middle.
        |file| {
            let mut file = fs::File::options().write(true).open(file).expect("opens");
            file.seek(SeekFrom::Start(5 * 4_096)).and_then(|_| file.write_all(&[0; 3 * 4_096])).expect("writes");
        },
        // Another program's database, or a later form of this one: the number is in the header.
        |file| {
            let mut file = fs::File::options().write(true).open(file).expect("opens");
            file.seek(SeekFrom::Start(60)).and_then(|_| file.write_all(&[0, 0, 0, 99])).expect("writes");
        },
    ] {
        let (_directory, file) = place();
        filled(&file).await;
        spoil(&file);
        let spoilt = fs::read(&file).expect("reads");
        let store = open(&file).await;
        works(&store).await;
        assert_eq!(range(&store, "m1", 0.0, 300.0, SECOND).await, [], "begun anew");
        assert_eq!(fs::read(damaged(&file)).expect("is kept").len(), spoilt.len());
        store.close().await;
        works(&open(&file).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_shows_in_use_is_one_failed_call() {
    let (_directory, file) = place();
    filled(&file).await;
    let store = open(&file).await;
    // Behind the back of the open store: every page but the first one.
    let length = fs::metadata(&file).expect("a length").len();
    let mut open_file = fs::File::options().write(true).open(&file).expect("opens");
    open_file.seek(SeekFrom::Start(4_096)).expect("seeks");
    open_file.write_all(&vec![0xa5; usize::try_from(length).expect("small") - 4_096]).expect("writes");
    let error = store.range(&key("m1"), super::at(0.0), super::at(300.0), SECOND).await.expect_err("it is damaged");
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    works(&store).await;
    assert!(damaged(&file).exists());
    // A clone is the same store.
    works(&store.clone()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_is_nobody_elses_to_read() {
    let (_directory, file) = place();
    let store = open(&file).await;
    works(&store).await;
    for name in ["samples.db", "samples.db-wal"] {
        let mode = fs::metadata(file.with_file_name(name)).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_cannot_be_written_is_an_error() {
    let (directory, _) = place();
    let blocked = directory.path().join("file");
    fs::write(&blocked, "").expect("writes");
    let config = SamplesConfig::Sqlite { file: blocked.join("samples.db") };
    let error = SampleStore::open(&config).await.expect_err("there is a file in the way");
    assert!(matches!(error, OpenError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("samples.db"), "{error}");
}
