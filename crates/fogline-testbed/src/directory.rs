//! The directory of one server, which does not outlive the test, however that ends.
//!
//! A test process that is killed with -9 removes nothing itself: a small shell waits for the end of the pipe that only
//! the test process holds, and removes the directory then. Invariant: paths are short enough for a Unix socket, and
//! other users may pass through (servers run as users of their own). Tests: `tests/it/nothing_is_left.rs`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use tempfile::TempDir;

use crate::program;

/// Leaves about 60 bytes of the 107 that a Unix socket's path may have.
const LONGEST: usize = 48;
/// Waits for the end of its input, then removes what it was told. What is still being written needs a second try.
const SWEEP: &str =
    "read -r _; n=0; until rm -rf \"$1\" 2>/dev/null; do n=$((n+1)); [ $n -lt 50 ] || exit 1; sleep 0.1; done";

/// A temporary directory that anybody may enter and nobody else may list.
#[derive(Debug)]
pub(crate) struct Directory {
    // Before the sweeper, which then finds nothing.
    dir: TempDir,
    sweeper: Child,
}

impl Directory {
    /// A new one, whose name says what it is for.
    pub(crate) fn new(purpose: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix(&format!("fogline-{purpose}-"))
            .permissions(Permissions::from_mode(0o711))
            .tempdir_in(place())
            .expect("a temporary directory can be made");
        let sweeper = program::command(&program::find("sh", "dash"))
            .args(["-c", SWEEP, "fogline-sweeper"])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at a terminal is for the tests, not for who cleans up after them.
            .process_group(0)
            .spawn()
            .expect("a shell starts");
        Self { dir, sweeper }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Ends its input: it removes the directory, as it would after a kill -9.
        drop(self.sweeper.stdin.take());
        // A sweeper that was killed leaves the rest to `TempDir`.
        let _ = self.sweeper.wait();
    }
}

/// Where temporary directories go: where the person wants them, unless a socket or another user could not be there.
fn place() -> PathBuf {
    let wanted = std::env::temp_dir();
    let open = |path: &Path| fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 0o001 != 0);
    let fits = wanted.as_os_str().len() <= LONGEST && wanted.is_absolute() && wanted.ancestors().all(open);
    if fits { wanted } else { PathBuf::from("/tmp") }
}
