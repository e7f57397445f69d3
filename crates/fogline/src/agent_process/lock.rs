//! Whether an agent runs on a directory, and what it was told.
//!
//! The agent itself locks `agent.lock` and writes its process id there; `dev` writes what it tells an agent into
//! `agent.told.json` before it starts one. Invariant: a process id is only believed while the lock is held and the process
//! has that very file open, so one that something else got after a crash or a reboot is never signalled.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::exit::{Failure, Outcome};

/// An agent that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Its process id.
    pub pid: i32,
}

/// What an agent was told at its start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Where its server is.
    pub server: String,
    /// The nodes it presents, as flags.
    pub nodes: Vec<String>,
    /// Its whole environment, and by that its settings.
    pub environment: BTreeMap<String, String>,
    /// The very file of its program.
    pub program: String,
}

/// How often, and how long apart, a lock is looked at whose holder has not written its process id yet.
const LOOKS: u32 = 50;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

impl Holder {
    /// Who runs on `data`; nothing when nobody does.
    ///
    /// # Errors
    /// When the directory cannot be read, or somebody holds the lock without saying who.
    pub async fn find(data: &Path) -> Outcome<Option<Self>> {
        for _ in 0..LOOKS {
            match look(data) {
                Ok(Look::Free) => return Ok(None),
                Ok(Look::Held(holder)) => return Ok(Some(holder)),
                // It has the lock and is about to write.
                Ok(Look::Unnamed) => tokio::time::sleep(BETWEEN_LOOKS).await,
                Err(error) => {
                    return Err(
                        Failure::general(format!("cannot look for an agent in {}", data.display())).because(error)
                    );
                }
            }
        }
        let path = lock_path(data);
        Err(Failure::general(format!("somebody holds {} and does not say who", path.display()))
            .hint(format!("`fuser {}` may tell; stop that process first", path.display())))
    }

    /// Whether it runs still.
    ///
    /// # Errors
    /// When that cannot be told. It then counts as running, and nobody may be signalled.
    pub fn still_runs(self, data: &Path) -> io::Result<bool> {
        match look(data)? {
            Look::Free => Ok(false),
            Look::Held(holder) => Ok(holder == self),
            Look::Unnamed => Err(io::Error::other(format!("somebody holds {}", lock_path(data).display()))),
        }
    }

    /// Who runs on `data`, by one look.
    pub fn glance(data: &Path) -> Option<Self> {
        match look(data) {
            Ok(Look::Held(holder)) => Some(holder),
            _ => None,
        }
    }
}

impl Told {
    /// What the agent on `data` was told last; nothing when that is not known.
    pub fn load(data: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(told_path(data)).ok()?).ok()
    }

    /// Writes it down, before an agent is told.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn save(&self, data: &Path) -> io::Result<()> {
        let temporary = data.join(".agent.told.new");
        fs::write(&temporary, serde_json::to_vec(self).expect("plain fields serialise"))?;
        fs::rename(temporary, told_path(data))
    }
}

enum Look {
    Free,
    Held(Holder),
    Unnamed,
}

fn look(data: &Path) -> io::Result<Look> {
    let path = lock_path(data);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Free),
        other => other?,
    };
    // A shared lock is refused only by the agent's exclusive one, so that two who look do not see each other.
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => return Ok(Look::Free),
        Err(rustix::io::Errno::WOULDBLOCK) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let pid = text.trim().parse().ok().filter(|pid| has_open(*pid, &path));
    Ok(pid.map_or(Look::Unnamed, |pid| Look::Held(Holder { pid })))
}

/// Whether the process has the file open.
fn has_open(pid: i32, path: &Path) -> bool {
    let (Ok(open), Ok(path)) = (fs::read_dir(format!("/proc/{pid}/fd")), fs::canonicalize(path)) else { return false };
    open.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == path))
}

fn lock_path(data: &Path) -> PathBuf {
    data.join("agent.lock")
}

fn told_path(data: &Path) -> PathBuf {
    data.join("agent.told.json")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn a_process_id_counts_while_its_process_holds_the_lock() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(Holder::find(dir.path()).await.expect("looked"), None);
        let mut file = File::create(lock_path(dir.path())).expect("made");
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).expect("free");
        // Left behind by an agent before: that process does not have the file open.
        write!(file, "1").expect("written");
        assert!(matches!(look(dir.path()), Ok(Look::Unnamed)));
        Holder { pid: 1 }.still_runs(dir.path()).expect_err("nobody can tell who holds it");
        fs::write(lock_path(dir.path()), format!("{}\n", std::process::id())).expect("written");
        let holder = Holder::find(dir.path()).await.expect("looked").expect("held");
        assert_eq!(holder.pid, i32::try_from(std::process::id()).expect("a pid"));
        assert!(holder.still_runs(dir.path()).expect("looked"));
        drop(file);
        assert_eq!(Holder::find(dir.path()).await.expect("looked"), None);
        assert!(!holder.still_runs(dir.path()).expect("looked"));
        let no_directory = lock_path(dir.path());
        holder.still_runs(&no_directory).expect_err("what cannot be looked at is not gone");
    }
}
