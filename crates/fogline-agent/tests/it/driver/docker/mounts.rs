//! Which paths of the node a container may see.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use fogline_agent::driver::{StartError, StartOrder};
use fogline_core::spec::MountSpec;

use super::super::contract::Rig;
use super::play;

fn with_mount(rig: &mut Rig, source: &Path, read_only: bool) -> StartOrder {
    with_mounts(rig, &[(source, read_only)])
}

/// The first one at `/data`, the next at `/data1` and so on.
fn with_mounts(rig: &mut Rig, mounts: &[(&Path, bool)]) -> StartOrder {
    let mut order = rig.order(&[]);
    let mount = |(count, (source, read_only)): (usize, &(&Path, bool))| MountSpec {
        source: source.display().to_string(),
        target: if count == 0 { "/data".to_owned() } else { format!("/data{count}") },
        read_only: *read_only,
    };
    let mounts = mounts.iter().enumerate().map(mount).collect();
    Arc::make_mut(&mut order.template).container.as_mut().expect("a block").mounts = mounts;
    order
}

async fn refused(rig: &mut Rig, source: &Path, part: &str) {
    let order = with_mount(rig, source, true);
    refused_as(rig, &order, source, part).await;
}

async fn refused_as(rig: &Rig, order: &StartOrder, source: &Path, part: &str) {
    let error = rig.start(order).await.expect_err("it is refused");
    assert!(matches!(error, StartError::MountRefused { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(part) && text.contains(&source.display().to_string()), "{part} in {text}");
    let id = order.replica_id.to_string();
    assert!(rig.left().iter().all(|left| !left.contains(&id)), "nothing was begun");
}

#[test]
fn what_is_allowed_is_mounted_and_nothing_else() {
    play(|mut rig: Rig| async move {
        let place = tempfile::tempdir().expect("a directory");
        let (allowed, outside) = (place.path().join("allowed"), place.path().join("outside"));
        for dir in [&allowed, &outside, &allowed.join("inner")] {
            fs::create_dir(dir).expect("made");
        }
        fs::write(outside.join("secret"), "canary").expect("written");
        fs::write(allowed.join("greeting"), "hello").expect("written");
        refused(&mut rig, &allowed, "agent.allowed_mounts").await;

        rig.containers.allowed_mounts = vec![allowed.clone()];
        rig.new_agent().await;
        let reads = with_mount(&mut rig, &allowed, true);
        rig.run(&reads).await;
        assert_eq!(rig.ask(&reads, "/read?path=/data/greeting").await, "hello");
        assert!(rig.ask(&reads, "/write?path=/data/x&text=y").await.contains("Read-only file system"));

        refused(&mut rig, &outside, "not below a path that this node allows").await;
        refused(&mut rig, &allowed.join("missing"), "No such file").await;
        // Links are followed before the path is judged, the last one and those on the way.
        symlink(&outside, allowed.join("link")).expect("linked");
        refused(&mut rig, &allowed.join("link"), "outside is not below").await;
        refused(&mut rig, &allowed.join("link/secret"), "secret is not below").await;
        symlink("/proc", allowed.join("kernel")).expect("linked");
        refused(&mut rig, &allowed.join("kernel"), "not below").await;

        // Who may write a directory could put a link in the place of what is in it.
        let writes = with_mount(&mut rig, &allowed, false);
        rig.run(&writes).await;
        assert_eq!(rig.ask(&writes, "/write?path=/data/x&text=y").await, "written\n");
        assert_eq!(fs::read_to_string(allowed.join("x")).expect("read"), "y");
        refused(&mut rig, &allowed.join("inner"), "another replica may write").await;
        let whole = with_mount(&mut rig, &allowed, true);
        rig.run(&whole).await;
        for order in [&reads, &writes, &whole] {
            rig.kill(order).await;
        }
        rig.forget(&[&reads, &writes, &whole]).await;
    });
}

#[test]
fn what_one_replica_may_write_holds_no_mount_of_another_nor_of_itself() {
    play(|mut rig: Rig| async move {
        let place = tempfile::tempdir().expect("a directory");
        let whole = place.path().join("whole");
        let (inner, beside) = (whole.join("inner"), whole.join("inner-beside"));
        for dir in [&whole, &inner, &beside] {
            fs::create_dir(dir).expect("made");
        }
        rig.containers.allowed_mounts = vec![whole.clone()];
        rig.new_agent().await;

        // In one spec, in either order; what can only be read may be nested.
        let down = with_mounts(&mut rig, &[(&whole, false), (&inner, true)]);
        refused_as(&rig, &down, &inner, "the same container may write").await;
        let up = with_mounts(&mut rig, &[(&inner, true), (&whole, false)]);
        refused_as(&rig, &up, &inner, "the same container may write").await;
        let reads = with_mounts(&mut rig, &[(&whole, true), (&inner, false), (&beside, true)]);
        rig.run(&reads).await;

        // Whoever comes second is refused, and one of the same deployment is as much another replica.
        let mut above = with_mount(&mut rig, &whole, false);
        above.deployment_id = reads.deployment_id;
        refused_as(&rig, &above, &whole, "which another replica mounts").await;
        rig.kill(&reads).await;
        refused_as(&rig, &above, &whole, "which another replica mounts").await;
        rig.forget(&[&reads]).await;
        rig.run(&above).await;
        rig.kill(&above).await;
        // It has ended, and may run again.
        let mut below = with_mount(&mut rig, &inner, true);
        below.deployment_id = above.deployment_id;
        refused_as(&rig, &below, &inner, "another replica may write").await;
        let mut sibling = with_mount(&mut rig, &whole, false);
        sibling.deployment_id = above.deployment_id;
        rig.run(&sibling).await;
        rig.kill(&sibling).await;
        rig.forget(&[&above, &sibling]).await;
    });
}

#[test]
fn what_the_agent_needs_is_never_mounted_whatever_is_allowed() {
    play(|mut rig: Rig| async move {
        let data = rig.dir.path().canonicalize().expect("it is there");
        let above = data.parent().expect("it is in some directory").to_owned();
        let socket = rig.engine().socket();
        let secrets = tempfile::tempdir().expect("a directory");
        let linked = secrets.path().join("linked");
        fs::create_dir(secrets.path().join("there")).expect("made");
        symlink(secrets.path().join("there"), &linked).expect("linked");
        rig.containers.registry_auth = Some(linked.join("not-yet.json"));
        rig.containers.allowed_mounts = vec!["/".into(), "/proc".into(), above.clone(), socket.clone()];
        rig.new_agent().await;
        refused(&mut rig, &secrets.path().join("there"), "what the agent itself needs").await;
        for path in [&data, &above, &data.join("containers"), &socket] {
            refused(&mut rig, path, "what the agent itself needs").await;
        }
        refused(&mut rig, Path::new("/proc/sys"), "the kernel's file systems").await;
        refused(&mut rig, Path::new("/"), "what the agent itself needs").await;
    });
}
