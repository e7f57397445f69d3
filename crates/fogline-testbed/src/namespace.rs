//! Network, process and mount namespaces of a test's own, in which a container engine may do what it likes.
//!
//! A small shell outside holds them: it ends when the test process says so, or has died in whatever way, kills every
//! process inside, and removes the cgroups that were made for them. Mounts, bridges, addresses and firewall rules go with
//! the namespaces. Must never change anything of the machine's own network or mounts. Tests: `tests/it/nothing_is_left.rs`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::program;
use crate::user::is_root;

/// Runs outside. `$1` is the name of the cgroups, the rest runs as process 1 inside.
///
/// All processes inside have ended when process 1 has been waited for, which `unshare` does.
const HOLDER: &str = r#"
cgroups=$1; shift
unshare --net --pid --mount --propagation private --fork --kill-child --mount-proc "$@" </dev/null &
outer=$!
inner=
while [ -z "$inner" ]; do
  kill -0 $outer 2>/dev/null || exit 1
  inner=$(cat /proc/$outer/task/$outer/children 2>/dev/null)
  inner=${inner%% *}
done
echo "first $inner"
read -r _
kill -KILL $inner
wait $outer
n=0
while [ $n -lt 100 ]; do
  for top in /sys/fs/cgroup/"$cgroups" /sys/fs/cgroup/*/"$cgroups"; do
    [ ! -d "$top" ] || find "$top" -depth -type d -exec rmdir {} \; 2>/dev/null
  done
  found=; for top in /sys/fs/cgroup/"$cgroups" /sys/fs/cgroup/*/"$cgroups"; do [ ! -d "$top" ] || found=1; done
  [ -n "$found" ] || exit 0
  n=$((n+1)); sleep 0.05
done
exit 1
"#;
/// Process 1 inside: waits for orphans, which a container engine leaves to it. Engines keep sockets, keys and settings in
/// fixed places of the machine; inside, these are empty and private.
const FIRST: &str = r#"
for private in /run /opt /etc/docker; do [ ! -d $private ] || mount -t tmpfs none $private || exit 1; done
ip link set lo up && echo ready && exec "$1" -s -- sleep infinity >/dev/null
"#;

/// A set of namespaces with a process 1, where only `lo` is up.
#[derive(Debug)]
pub(crate) struct Namespace {
    holder: Child,
    /// What the holder complains about. Kept open: who complains into a closed pipe is killed.
    _complaints: ChildStderr,
    /// Process 1, as it is numbered outside.
    first: i32,
    network: File,
}

impl Namespace {
    /// New ones. `cgroups` is the name, below each root of the cgroup file systems, of what is removed in the end.
    ///
    /// # Panics
    /// When the process is not root, or a program is missing.
    pub(crate) fn new(cgroups: &str) -> Self {
        assert!(
            is_root(),
            "this test starts a container engine in a network of its own, which only root may: run the tests as root, \
             or with CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='sudo -n -E' in the environment"
        );
        program::find("unshare", "util-linux");
        program::find("ip", "iproute2");
        program::find("find", "findutils");
        program::find("mount", "mount");
        let init = program::find("tini", "tini");
        let mut holder = program::command(&program::find("sh", "dash"))
            .args(["-c", HOLDER, "fogline-holder", cgroups, "sh", "-c", FIRST, "fogline-first"])
            .arg(init)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C at a terminal is for the tests, not for who cleans up after them.
            .process_group(0)
            .spawn()
            .expect("a shell starts");
        let mut complaints = holder.stderr.take().expect("piped");
        let (mut first, mut ready) = (None, false);
        for line in BufReader::new(holder.stdout.take().expect("piped")).lines() {
            let line = line.expect("a pipe can be read");
            ready |= line == "ready";
            first = first.or_else(|| line.strip_prefix("first ")?.parse().ok());
            if ready && first.is_some() {
                break;
            }
        }
        let Some(first) = first.filter(|_| ready) else {
            let mut said = String::new();
            let _ = complaints.read_to_string(&mut said);
            panic!("this test needs network, process and mount namespaces, which cannot be made here: {said}");
        };
        let network = File::open(format!("/proc/{first}/ns/net")).expect("process 1 of the namespaces runs");
        Self { holder, _complaints: complaints, first, network }
    }

    /// Moves the calling thread into the network; the threads and processes that it starts are there too.
    pub(crate) fn enter(&self) {
        move_into_link_name_space(self.network.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may do that");
    }

    /// Runs `what` in the network, on a thread of its own, so that the calling one stays where it is.
    pub(crate) fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter();
                what()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The start of a command line that runs `program` in all of the namespaces.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program::find("nsenter", "util-linux"));
        command.args(["--target", &self.first.to_string(), "--net", "--pid", "--mount", "--"]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        match self.holder.wait() {
            Ok(status) if status.success() => {}
            other if std::thread::panicking() => eprintln!("the namespaces of a test were not taken apart: {other:?}"),
            other => panic!("the namespaces of a test were not taken apart: {other:?}"),
        }
    }
}
