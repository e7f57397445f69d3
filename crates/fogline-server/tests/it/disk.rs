//! Disks that are full or fail, for real. Each test runs another one of this program in a place made for it: a file
//! system of a few megabytes, or a process whose files may not grow.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command as Process;

use fogline_api::protocol::{FromAgent, NodeLoad};
use fogline_core::observation::{NodeUsage, ReportedState};
use fogline_core::state::DeploymentStatus;
use fogline_server::{ServeError, WriteError};
use fogline_store::{DeploymentFilter, PageRequest};

use crate::rig::{Rig, deploy, report};

/// Runs one test of this program in `directory`, by way of a shell that prepares the place.
fn run_there(directory: &Path, prepare: &str, wrapper: &[&str], test: &str) {
    let program = std::env::current_exe().expect("this program");
    let script = format!("{prepare} && exec \"$@\"");
    let mut words = wrapper.to_vec();
    words.extend(["sh", "-ec", &script, "sh"]);
    let output = Process::new(words[0])
        .args(&words[1..])
        .arg(program)
        .args(["--exact", test, "--ignored", "--nocapture"])
        .current_dir(directory)
        .output()
        .expect("sh and unshare (util-linux) are installed");
    let text = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{test} in its place of its own:\n{text}");
}

#[test]
fn a_full_disk_refuses_writes_and_heals_by_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    let mount = "mount -t tmpfs -o size=8m tmpfs . && cd \"$PWD\"";
    // Root needs no user namespace, which some containers do not allow; everybody else needs one to mount at all.
    let root = rustix::process::geteuid().is_root();
    let unshare: &[&str] = if root { &["unshare", "--mount"] } else { &["unshare", "--map-root-user", "--mount"] };
    run_there(directory.path(), mount, unshare, "disk::on_a_small_file_system");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by a_full_disk_refuses_writes_and_heals_by_itself"]
async fn on_a_small_file_system() {
    let room = rustix::fs::statvfs(".").expect("a file system");
    assert!(room.f_blocks * room.f_frsize <= 16 << 20, "this test fills its file system: never run it by itself");
    let rig = Rig::with(tempfile::tempdir_in(".").expect("a directory"), |_| {}).await;
    let (mut agent, node, _) = rig.agent("one").await;
    let id = rig.deploy("app", 2).await;
    let list = agent.list_where(|list| list.assignment.replicas.len() == 2).await;

    let mut filler = File::create("filler").expect("a file");
    while filler.write_all(&[0; 4_096]).is_ok() {}
    let mut saved = BTreeSet::from(["app".to_owned()]);
    let refused = loop {
        let name = format!("app-{}", saved.len());
        match rig.submit(deploy(&name, 1)).await {
            Ok(_) => saved.insert(name),
            Err(error) => break error,
        };
        assert!(saved.len() < 10_000, "the disk is never full");
    };
    assert_eq!(refused, WriteError::StorageFull);
    assert!(!rig.shared().writer.accepts());

    // Reads go on, and so do signs of life.
    assert_eq!(rig.status(id).await, DeploymentStatus::Scheduled);
    let usage = NodeUsage { cpu_percent: 12.0, memory_percent: 34.0 };
    agent.say(FromAgent::Heartbeat(vec![NodeLoad { node_id: node, usage, replicas: Vec::new() }])).await;
    let reports = list.assignment.replicas.iter().map(|line| report(line.replica_id, 1, ReportedState::Running));
    let number = agent.observe(node, reports.collect()).await;
    let again = rig.submit(deploy("one-more", 1)).await;
    assert_eq!(again, Err(WriteError::StorageFull));
    assert_eq!(rig.status(id).await, DeploymentStatus::Scheduled, "what was seen is not saved yet");

    std::fs::remove_file("filler").expect("removed");
    drop(filler);
    agent.acknowledged(number).await;
    assert_eq!(rig.status(id).await, DeploymentStatus::Running);
    rig.deploy("one-more", 1).await;
    saved.insert("one-more".to_owned());
    assert!(rig.shared().writer.accepts());
    assert_eq!(names(&rig).await, saved);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_ends_the_server_and_loses_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    // Files may grow to 3 MB. A write beyond that fails, as on a disk that fails: there is room, and yet no success.
    let limit = "trap '' XFSZ && ulimit -f 6000";
    let place = directory.path().to_owned();
    let run = move || run_there(&place, limit, &["env"], "disk::with_files_that_cannot_grow");
    tokio::task::spawn_blocking(run).await.expect("the other test passes");

    let saved = std::fs::read_to_string(directory.path().join("saved")).expect("what was acknowledged");
    let saved: BTreeSet<_> = saved.lines().map(str::to_owned).collect();
    assert!(saved.len() > 10, "{saved:?}");
    let rig = Rig::with(directory, |_| {}).await;
    let there = names(&rig).await;
    let lost: Vec<_> = saved.difference(&there).collect();
    assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by a_disk_that_fails_ends_the_server_and_loses_nothing"]
async fn with_files_that_cannot_grow() {
    use rustix::process::{Resource, getrlimit};
    let limit = getrlimit(Resource::Fsize).current.expect("a limit: never run this test by itself");
    assert!(limit <= 4 << 20, "{limit}");
    let here = std::env::current_dir().expect("a directory");
    // The parent looks at what is left, so it is not removed here.
    let rig = Rig::at(&here).await;
    let mut saved = String::new();
    let mut count = 0;
    let failed = loop {
        count += 1;
        let name = format!("app-{count}");
        match rig.submit(deploy(&name, 1)).await {
            Ok(_) => saved.push_str(&format!("{name}\n")),
            Err(error) => break error,
        }
        assert!(count < 20_000, "the disk never fails");
    };
    assert_eq!(failed, WriteError::OutcomeUnknown);
    let refused = rig.submit(deploy("after", 1)).await;
    assert_eq!(refused, Err(WriteError::Stopping), "a retry is no success");
    let end = rig.ends().await;
    assert!(matches!(&end, ServeError::Writer(text) if text.contains("disk failed")), "{end}");
    std::fs::write("saved", saved).expect("a small file");
}

async fn names(rig: &Rig) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut page = PageRequest::first(fogline_store::MAX_PAGE);
    loop {
        let found = rig.shared().store.deployments(&DeploymentFilter::default(), &page).await.expect("a read");
        names.extend(found.items.into_iter().map(|record| record.spec.name.clone()));
        match found.next {
            Some(next) => page = PageRequest::after(fogline_store::MAX_PAGE, next),
            None => return names,
        }
    }
}
