//! No room on the disk: writes are refused one by one, reads go on, and all is well once there is room again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use fogline_core::cluster::Changes;
use fogline_store::{CommitError, OpenError, Store, StoreConfig};

use super::child;
use crate::world::{World, add};

const TEST: &str = "faults::disk_full::a_full_disk_refuses_writes_and_heals";
/// Where the small disk goes; made and removed by the parent, who does not see it mounted.
const DISK: &str = "FOGLINE_STORE_TEST_DISK";
const DISK_BYTES: u64 = 6 << 20;
const PAGE_BYTES: u64 = 4_096;

/// Runs in a mount namespace of its own, so the small disk is gone with the process, however that ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_heals() {
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
    let disk = &PathBuf::from(child::value(DISK));
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES}"), "fogline-test"])
        .arg(disk)
        .status()
        .expect("mount (util-linux) is installed");
    assert!(mounted.success(), "a tmpfs can be mounted in a namespace of one's own");
    let config = StoreConfig::sqlite(disk.join("fogline.db"));
    let store = Store::open(&config).await.expect("opens");
    store.migrate().await.expect("migrates");
    let mut world = World::new(store).await;
    let mut acknowledged = 1;
    let mut refusals = 0;
    // Each time the room ends at another page of the batch, down to the very last ones before the end of its commit.
    for room_pages in (0..60).chain((60..200).step_by(7)) {
        let ballast = disk.join("ballast");
        fill(&ballast, room_pages * PAGE_BYTES);
        loop {
            let (changes, rows) = batch(&mut world);
            match world.store.commit(&world.lease, &changes).await {
                Ok(_) => acknowledged += rows,
                Err(CommitError::Full) => {
                    refusals += 1;
                    still_readable(&world, acknowledged).await;
                    // Refused again while there is no room, and not worse than that.
                    let again = world.store.commit(&world.lease, &changes).await;
                    assert!(matches!(again, Err(CommitError::Full)), "{again:?}");
                    fs::remove_file(&ballast).expect("frees the disk");
                    world.commit(&changes).await;
                    acknowledged += rows;
                    break;
                }
                Err(other) => panic!("a full disk with room for {room_pages} pages is only that: {other:?}"),
            }
        }
        still_readable(&world, acknowledged).await;
        // What was written moves into the file now and then, or this disk would be full for good.
        if used(disk) > DISK_BYTES / 2 {
            start_over(&mut world, &config).await;
            acknowledged = 1;
        }
    }
    assert!(refusals > 60, "the disk was full {refusals} times");
    world.store.close().await;
    let store = Store::open(&config).await.expect("opens, and is whole");
    assert_eq!(store.load().await.expect("loads").replicas.len(), acknowledged);
    store.close().await;

    // Where there is no room from the start, that is what is said.
    let ballast = disk.join("ballast");
    fill(&ballast, 0);
    let error = Store::open(&config).await.expect_err("there is no room for the log's index");
    assert!(matches!(error, OpenError::Full { .. }), "{error:?}");
    fs::remove_file(&ballast).expect("frees the disk");
    let store = Store::open(&config).await.expect("opens");
    assert_eq!(store.load().await.expect("loads").replicas.len(), acknowledged);
    store.close().await;
}

async fn still_readable(world: &World, acknowledged: usize) {
    let durable = world.store.load().await.expect("reads go on");
    assert_eq!(durable.replicas.len(), acknowledged, "what was acknowledged is there, and nothing else");
    let user = world.store.user_by_name("ada").await.expect("reads go on");
    assert_eq!(user.as_ref(), Some(&world.user));
}

/// Empties the database by a purge, and lets the next open move that into the file.
async fn start_over(world: &mut World, config: &StoreConfig) {
    let replicas = world.store.load().await.expect("loads").replicas;
    let mut changes = Changes::default();
    for replica in replicas.iter().filter(|replica| replica.id != world.replica.id) {
        changes.replicas.record(replica.id, Some(replica.clone()), None);
    }
    world.commit(&changes).await;
    world.store.close().await;
    world.store = Store::open(config).await.expect("opens");
}

fn batch(world: &mut World) -> (Changes, usize) {
    let (deployment, node) = (world.deployment.clone(), world.node.clone());
    let mut changes = Changes::default();
    for _ in 0..100 {
        let replica = world.rows.replica(&deployment, &node);
        add(&mut changes.replicas, replica.id, &replica);
    }
    (changes, 100)
}

/// Takes all room but so much.
fn fill(ballast: &Path, room: u64) {
    let mut file = File::create(ballast).expect("a file");
    let page = [0_u8; PAGE_BYTES as usize];
    while file.write_all(&page).is_ok() {}
    let length = file.metadata().expect("a length").len();
    file.set_len((length / PAGE_BYTES * PAGE_BYTES).saturating_sub(room)).expect("shrinks");
}

fn used(disk: &Path) -> u64 {
    let files = fs::read_dir(disk).expect("a directory");
    files.map(|file| file.and_then(|file| file.metadata()).map_or(0, |metadata| metadata.len())).sum()
}
