//! No room on the disk: samples are refused one by one, reads go on, and all is well once there is room again.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use fogline_store::{OpenError, SampleStore, SamplesConfig, StoreError};

use super::{SECOND, key, point, range};
use crate::faults::child;

const TEST: &str = "samples::disk_full::a_full_disk_refuses_samples_and_heals";
/// Where the small disk goes; made and removed by the parent, who does not see it mounted.
const DISK: &str = "FOGLINE_STORE_TEST_DISK";

/// Runs in a mount namespace of its own, so the small disk is gone with the process, however that ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_samples_and_heals() {
    if child::is_child() {
        return on_the_small_disk().await;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(child::arguments(TEST)).env(DISK, directory.path());
    let output = child::prepare(&mut command).output().expect("unshare (util-linux) is installed");
    child::assert_passed(&output);
}

async fn on_the_small_disk() {
    let disk = PathBuf::from(child::value(DISK));
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "fogline-test"]).arg(&disk).status();
    assert!(mounted.expect("mount (util-linux) is installed").success(), "a tmpfs can be mounted in a namespace");
    let config = SamplesConfig::Sqlite { file: disk.join("samples.db") };
    let ballast = disk.join("ballast");
    fill(&ballast, 0);
    let error = SampleStore::open(&config).await.expect_err("there is no room for a page");
    assert!(matches!(error, OpenError::Full { .. }), "{error:?}");
    fs::remove_file(&ballast).expect("frees the disk");

    let store = SampleStore::open(&config).await.expect("opens");
    let batch = |round: u32| {
        let points = (0..200).map(|series| (key(&format!("m{series}")), point(f64::from(round) * 10.0, 1.0).1));
        points.collect::<Vec<_>>()
    };
    let mut refusals = 0;
    // Each time the room ends at another page.
    for room_pages in 0..40 {
        fill(&ballast, room_pages * 4_096);
        let mut round = 0;
        for _ in 0..200 {
            match store.append(&batch(round)).await {
                Ok(()) => round += 1,
                Err(StoreError::Full) => {
                    refusals += 1;
                    break;
                }
                Err(other) => panic!("a full disk with room for {room_pages} pages is only that: {other:?}"),
            }
        }
        let there = range(&store, "m7", 0.0, f64::from(round + 1) * 10.0, SECOND).await;
        assert_eq!(there.len(), round as usize, "what was taken is there, and nothing else");
        let moved = store.compact(super::at(2.0 * 86_400.0)).await;
        assert!(matches!(moved, Ok(_) | Err(StoreError::Full)), "{moved:?}");
        fs::remove_file(&ballast).expect("frees the disk");
        store.append(&batch(round)).await.expect("there is room again");
        // What there is must not fill the disk for good.
        let gone = store.compact(super::at(40.0 * 86_400.0)).await.expect("there is room again");
        assert!(gone.removed > 0);
    }
    assert!(refusals > 20, "the disk was full {refusals} times");
    store.close().await;
}

/// Takes all room but so much.
fn fill(ballast: &std::path::Path, room: u64) {
    let mut file = File::create(ballast).expect("a file");
    let page = [0_u8; 4_096];
    while file.write_all(&page).is_ok() {}
    let length = file.metadata().expect("a length").len();
    file.set_len((length / 4_096 * 4_096).saturating_sub(room)).expect("shrinks");
}
