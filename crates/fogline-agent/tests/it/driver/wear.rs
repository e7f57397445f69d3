//! Many starts, full disks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fogline_agent::driver::{ExitCause, Signal, StartError};
use tempfile::TempDir;

use super::harness::{Bench, until};

/// Not a test of its own: counts descriptors, so it needs a process of its own. See below.
#[tokio::test]
async fn many_entry() {
    if std::env::args().next_back().as_deref() != Some("in-a-process-of-its-own") {
        return;
    }
    let mut bench = Bench::new();
    bench.config.keep_ended = 3;
    bench.new_agent();
    let descriptors = || fs::read_dir("/proc/self/fd").expect("listed").count();
    let mut before = 0;
    for round in 0..26 {
        // The first round opens what stays open, such as the runtime's own descriptors.
        if round == 1 {
            before = descriptors();
        }
        let mut orders = Vec::new();
        for _ in 0..8 {
            let order = bench.script("sleep 1000 & exec sleep 1000");
            bench.run(&order).await;
            orders.push(order);
        }
        for order in &orders {
            let signal = if round % 2 == 0 { Signal::Terminate } else { Signal::Kill };
            bench.signal(order, signal).await;
        }
        for _ in &orders {
            bench.any_exit().await;
        }
        for order in &orders {
            bench.driver().forget(order.replica_id);
        }
    }
    assert_eq!(descriptors(), before, "descriptors");
    let count = |name: &str| fs::read_dir(bench.config.state_dir.join(name)).expect("listed").count();
    assert_eq!((count("replicas"), count("ended")), (0, 3), "directories");
    let zombies = Command::new("ps").args(["--ppid", &std::process::id().to_string(), "-o", "stat="]).output();
    let zombies = String::from_utf8(zombies.expect("ran").stdout).expect("text");
    assert!(!zombies.contains('Z'), "shims that nobody reaped: {zombies}");
    bench.no_event();
    bench.nothing_left();
}

#[test]
fn two_hundred_starts_leave_nothing_behind() {
    let run = Command::new(std::env::current_exe().expect("this"))
        .args(["--exact", "driver::wear::many_entry", "--nocapture", "in-a-process-of-its-own"])
        .stdin(Stdio::null())
        .output()
        .expect("ran");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&run.stderr));
}

/// A small file system, unmounted whatever happens.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=512k,mode=0700", "fogline-test"])
            .arg(dir.path())
            .output()
            .expect("mount is installed");
        assert!(
            mounted.status.success(),
            "a small file system is needed, and mounting one needs root: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room there is.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let full = Command::new("dd").arg("if=/dev/zero").arg(format!("of={}", path.display())).output();
        assert!(String::from_utf8_lossy(&full.expect("ran").stderr).contains("No space left"));
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, so that it goes even if something of a failed test still has it open.
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} is left mounted", self.path().display());
    }
}

#[tokio::test]
async fn a_full_disk_is_a_typed_failure_and_heals() {
    let disk = SmallDisk::new();
    let mut bench = Bench::at(&disk.path().join("agent"));
    let order = bench.script("echo ready; exec sleep 1000");
    let filler = disk.fill();
    let error = bench.start(&order).await.expect_err("the disk is full");
    assert!(matches!(&error, StartError::DiskFull { .. }), "{error:?}");
    assert!(error.to_string().contains("disk is full") && error.to_string().contains("/bin/sh"), "{error}");
    assert!(!bench.dir(&order).exists(), "nothing was recorded");
    fs::remove_file(filler).expect("removed");
    bench.run(&order).await;
    bench.until_said(&order, "ready").await;
    bench.kill(&order).await;
    bench.nothing_left();
}

#[tokio::test]
async fn a_full_disk_stops_neither_a_replica_nor_the_news_of_its_end() {
    let disk = SmallDisk::new();
    let mut bench = Bench::at(&disk.path().join("agent"));
    let beat = tempfile::NamedTempFile::new().expect("a file");
    let script = format!(
        "echo ready; trap 'exit 9' TERM; n=0; while :; do echo a line of chatter; n=$((n+1)); \
         [ $((n % 1000)) -eq 0 ] && echo $n > {}; done",
        beat.path().display()
    );
    let order = bench.script(&script);
    bench.run(&order).await;
    bench.until_said(&order, "ready").await;
    disk.fill();
    let beats = || fs::read_to_string(beat.path()).expect("read").trim().parse::<u64>().unwrap_or(0);
    let now = beats();
    until("it goes on although its output cannot be kept", || beats() > now + 20_000).await;
    bench.signal(&order, Signal::Terminate).await;
    let exit = bench.exit(&order).await;
    assert_eq!((exit.code, exit.cause), (Some(9), ExitCause::Exited));
    bench.nothing_left();
}
