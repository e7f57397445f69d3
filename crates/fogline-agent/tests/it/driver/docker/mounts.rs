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
    let mut order = rig.order(&[]);
    let mount = MountSpec { source: source.display().to_string(), target: "/data".to_owned(), read_only };
    Arc::make_mut(&mut order.template).container.as_mut().expect("a block").mounts = vec![mount];
    order
}

async fn refused(rig: &mut Rig, source: &Path, part: &str) {
    let order = with_mount(rig, source, true);
    let error = rig.start(&order).await.expect_err("it is refused");
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
        refused(&mut rig, &allowed.join("inner"), "another deployment may write").await;
        let whole = with_mount(&mut rig, &allowed, true);
        rig.run(&whole).await;
        for order in [&reads, &writes, &whole] {
            rig.kill(order).await;
        }
        rig.forget(&[&reads, &writes, &whole]).await;
    });
}

#[test]
fn what_the_agent_needs_is_never_mounted_whatever_is_allowed() {
    play(|mut rig: Rig| async move {
        let data = rig.dir.path().canonicalize().expect("it is there");
        let above = data.parent().expect("it is in some directory").to_owned();
        let socket = rig.engine().socket();
        rig.containers.allowed_mounts = vec!["/".into(), "/proc".into(), above.clone(), socket.clone()];
        rig.new_agent().await;
        for path in [&data, &above, &data.join("containers"), &socket] {
            refused(&mut rig, path, "what the agent itself needs").await;
        }
        refused(&mut rig, Path::new("/proc/sys"), "the kernel's file systems").await;
        refused(&mut rig, Path::new("/"), "what the agent itself needs").await;
    });
}
