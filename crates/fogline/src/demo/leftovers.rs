//! Which processes of the demo run: its proof that it has left nothing, and its way to end what it left.
//!
//! Decides what is the demo's own: this program at work in the demo's directory, a child of this process, or a replica
//! that lives there. Must never touch anything else, such as an editor or a shell that somebody opened there. Invariant: a
//! signal reaches the process that was looked at, never one that got its id since.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process, and what tells it from others that had or will have its id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leftover {
    /// In ticks since the system started.
    started: u64,
    /// Its command line.
    pub line: String,
}

/// How often what is left is killed: one that starts others may have started one meanwhile.
const ROUNDS: u32 = 50;
const BETWEEN_ROUNDS: Duration = Duration::from_millis(20);

/// Every process of ours under `dir`, by its id.
pub fn processes_of(dir: &Path) -> BTreeMap<i32, Leftover> {
    let own = std::process::id().cast_signed();
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .filter_map(|pid: i32| Some((pid, look(pid, dir)?)))
        .collect()
}

/// Kills what runs of ours under `dir`, until nothing does; gives what there was.
pub fn kill_all(dir: &Path) -> BTreeMap<i32, Leftover> {
    let mut killed = BTreeMap::new();
    for _ in 0..ROUNDS {
        let left = processes_of(dir);
        if left.is_empty() {
            break;
        }
        for (pid, leftover) in &left {
            leftover.kill(*pid);
        }
        killed.extend(left);
        std::thread::sleep(BETWEEN_ROUNDS);
    }
    killed
}

impl Leftover {
    /// Kills it, and nothing that has its id by now.
    fn kill(&self, pid: i32) {
        let Some(handle) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else { return };
        // The handle stays with one process; whether it is the right one is asked after it was opened.
        if Stat::of(pid).is_some_and(|stat| stat.started == self.started) {
            // One that is gone meanwhile needs no signal.
            let _ = pidfd_send_signal(&handle, Signal::KILL);
        }
    }
}

fn look(pid: i32, dir: &Path) -> Option<Leftover> {
    let stat = Stat::of(pid)?;
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    let leftover = Leftover { started: stat.started, line };
    if is_replica(pid, dir) {
        return Some(leftover);
    }
    let is_there = leftover.line.contains(&*dir.to_string_lossy())
        || fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
    // What a server's program is cannot be seen by others of its user; but the demo's is a child of this process.
    let is_ours = is_this_program(pid) || stat.parent == std::process::id().cast_signed();
    (is_there && is_ours).then_some(leftover)
}

/// Whether it is a replica, or was started by one, that calls a place under `dir` its home.
fn is_replica(pid: i32, dir: &Path) -> bool {
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let variables = || environ.split(|byte| *byte == 0).filter_map(|variable| std::str::from_utf8(variable).ok());
    variables().any(|variable| variable.starts_with("FOGLINE_REPLICA_ID="))
        && variables()
            .filter_map(|variable| variable.strip_prefix("HOME="))
            .any(|home| Path::new(home).starts_with(dir))
}

fn is_this_program(pid: i32) -> bool {
    // By the file itself: its path is another one when it was replaced meanwhile.
    let file = |who: &str| fs::metadata(format!("/proc/{who}/exe")).map(|file| (file.dev(), file.ino())).ok();
    file(&pid.to_string()).is_some_and(|theirs| file("self") == Some(theirs))
}

struct Stat {
    parent: i32,
    started: u64,
}

impl Stat {
    /// Nothing for a process that is gone, or has ended and waits for its parent.
    fn of(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything; the state comes after it.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        if matches!(fields.first(), Some(&("Z" | "X"))) {
            return None;
        }
        Some(Self { parent: fields.get(1)?.parse().ok()?, started: fields.get(19)?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A sleeper that is nobody's child here, so that only what it is counts: its process id.
    fn orphan(dir: &Path, variables: &[(&str, &str)]) -> i32 {
        let output = Command::new("sh")
            .args(["-c", "sleep 1000 >/dev/null 2>&1 & echo $!"])
            .current_dir(dir)
            .envs(variables.iter().copied())
            .output()
            .expect("sh runs");
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("a process id")
    }

    fn end(pid: i32) {
        let _ = rustix::process::kill_process(Pid::from_raw(pid).expect("a process id"), Signal::KILL);
    }

    #[test]
    fn a_stranger_in_the_directory_is_neither_counted_nor_killed() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = fs::canonicalize(dir.path()).expect("a path");
        let home = root.join("replica");
        fs::create_dir(&home).expect("made");
        let stranger = orphan(&root, &[]);
        // A replica of another server, whose shell somebody moved here.
        let other = orphan(&root, &[("FOGLINE_REPLICA_ID", "x"), ("HOME", "/")]);
        let replica = orphan(&root, &[("FOGLINE_REPLICA_ID", "x"), ("HOME", home.to_str().expect("plain"))]);
        let found: Vec<i32> = processes_of(&root).into_keys().collect();
        let killed: Vec<i32> = kill_all(&root).into_keys().collect();
        let left = [stranger, other, replica].map(|pid| Stat::of(pid).is_some());
        end(stranger);
        end(other);
        assert_eq!((found, killed), (vec![replica], vec![replica]));
        assert_eq!(left, [true, true, false]);
    }

    #[test]
    fn a_child_in_the_directory_is_ours_and_an_id_that_changed_hands_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = fs::canonicalize(dir.path()).expect("a path");
        let mut child: Child =
            Command::new("sleep").arg("1000").current_dir(&root).stdin(Stdio::null()).spawn().expect("sleep runs");
        let pid = child.id().cast_signed();
        let found = processes_of(&root).remove(&pid).expect("found");
        Leftover { started: found.started - 1, ..found.clone() }.kill(pid);
        assert!(child.try_wait().expect("asked").is_none(), "somebody else's id was signalled");
        found.kill(pid);
        child.wait().expect("it ends");
        assert_eq!(processes_of(&root), BTreeMap::new());
    }
}
