//! What the agent keeps beside the driver's files: who it obeys, its lists, its memos, its incarnation.
//!
//! ```text
//! DATA/agent.lock               held while an agent runs; its process id is inside
//! DATA/incarnation              counts the agent's starts
//! DATA/authority.json           the highest leader seen
//! DATA/assignment-NODE.json     a node's last list
//! DATA/memos/REPLICA.json       what the supervisor remembers
//! ```
//!
//! Must never decide anything from it. Invariant: a file is the old one or the new one, never a part of it. A file that
//! is damaged all the same is set aside and told of, and counts as not there. Tests: below.

pub(crate) mod lenient;
mod stored;
pub(crate) mod write;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fogline_api::protocol::NodeAssignment;
use fogline_core::assignment::Authority;
use fogline_core::id::ReplicaId;
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::supervisor::Memo;
use stored::{StoredAuthority, StoredList};
use write::Flush;

/// Why something of the agent's state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Another agent is at work here.
    #[error("another agent{} uses {}: stop that one, or give this one a data directory of its own", holder(*pid), dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The process that has it, where it says so.
        pid: Option<u32>,
    },
    /// The system refuses.
    #[error("cannot {attempted} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        attempted: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// There is something else than was written.
    #[error("{} is damaged ({why}); it was set aside as {}", path.display(), aside.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// Where it is now.
        aside: PathBuf,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl DiskError {
    fn io<'a>(attempted: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Self + use<'a> {
        move |source| Self::Io { attempted, path: path.to_owned(), source }
    }
}

/// What an earlier agent process wrote down.
#[derive(Debug, Default)]
pub struct Kept {
    /// The highest leader seen.
    pub seen: Option<Authority>,
    /// The last list of each of the nodes asked for.
    pub lists: Vec<(String, NodeAssignment)>,
    /// What the supervisor remembers.
    pub memos: Vec<Memo>,
    /// What could not be read.
    pub damaged: Vec<DiskError>,
}

/// The agent's directory. Others are kept out of it as long as this lives.
#[derive(Debug)]
pub struct Disk {
    dir: PathBuf,
    _lock: File,
}

impl Disk {
    /// Makes the directory where it is missing, and locks it.
    ///
    /// # Errors
    /// When another agent has it, or the system refuses.
    pub fn open(dir: &Path) -> Result<Self, DiskError> {
        let memos = dir.join("memos");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&memos)
            .map_err(DiskError::io("create the directory", &memos))?;
        let path = dir.join("agent.lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(DiskError::io("open", &path))?;
        if let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            if error == rustix::io::Errno::WOULDBLOCK {
                let mut text = String::new();
                let _ = (&mut lock).take(20).read_to_string(&mut text);
                return Err(DiskError::InUse { dir: dir.to_owned(), pid: text.trim().parse().ok() });
            }
            return Err(DiskError::Io { attempted: "lock", path, source: error.into() });
        }
        // Only for people who look for the holder: a full disk is no reason to stay away.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// Counts this start of the agent, and syncs the count.
    ///
    /// # Errors
    /// When it cannot be written: without it, servers would take new reports for old ones.
    pub fn next_incarnation(&self) -> Result<u64, DiskError> {
        let path = self.dir.join("incarnation");
        let last = match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().parse::<u64>().ok(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(0),
            Err(error) => return Err(DiskError::io("read", &path)(error)),
        };
        let next = last.ok_or_else(|| self.set_aside(&path, "it holds no number"))? + 1;
        // As wide as it will ever be, so that it can be written over in place.
        let line = format!("{next:020}\n");
        write::replace(&path, line.as_bytes(), Flush::Yes)
            .or_else(|error| {
                if error.kind() == std::io::ErrorKind::StorageFull && next > 1 {
                    // On a full disk a file that is there can still be written over, and so small a one in one piece.
                    write::over(&path, line.as_bytes())
                } else {
                    Err(error)
                }
            })
            .map_err(DiskError::io("write", &path))?;
        Ok(next)
    }

    /// Reads everything back; the lists of these nodes.
    #[must_use]
    pub fn load(&self, nodes: &[&str]) -> Kept {
        let mut kept = Kept::default();
        kept.seen = self.read::<StoredAuthority>(&self.dir.join("authority.json"), &mut kept.damaged).map(Into::into);
        for node in nodes {
            if let Some(list) = self.read::<StoredList>(&self.list_path(node), &mut kept.damaged) {
                kept.lists.push(((*node).to_owned(), list.into()));
            }
        }
        let memos = self.dir.join("memos");
        match std::fs::read_dir(&memos) {
            Ok(entries) => {
                for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                    if path.extension().is_some_and(|extension| extension == "json") {
                        kept.memos.extend(self.read::<Memo>(&path, &mut kept.damaged));
                    }
                }
            }
            Err(error) => kept.damaged.push(DiskError::io("read the directory", &memos)(error)),
        }
        kept
    }

    /// Keeps the highest leader seen.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_seen(&self, seen: &Authority) -> Result<(), DiskError> {
        self.write(&self.dir.join("authority.json"), &StoredAuthority::from(seen), Flush::Yes)
    }

    /// Keeps a node's list.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_list(&self, node: &str, list: &NodeAssignment) -> Result<(), DiskError> {
        self.write(&self.list_path(node), &StoredList::from(list), Flush::Yes)
    }

    /// Keeps a memo. Only a replica's end is synced: what a power cut takes of the rest, it takes of the replica too.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_memo(&self, memo: &Memo) -> Result<(), DiskError> {
        let flush = if memo.end.is_some() { Flush::Yes } else { Flush::No };
        self.write(&self.memo_path(memo.replica_id), memo, flush)
    }

    /// Removes a memo. Does nothing where there is none.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove_memo(&self, replica_id: ReplicaId) -> Result<(), DiskError> {
        let path = self.memo_path(replica_id);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(DiskError::io("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    fn list_path(&self, node: &str) -> PathBuf {
        self.dir.join(format!("assignment-{node}.json"))
    }

    fn memo_path(&self, replica_id: ReplicaId) -> PathBuf {
        self.dir.join("memos").join(format!("{replica_id}.json"))
    }

    fn write(&self, path: &Path, value: &impl Serialize, flush: Flush) -> Result<(), DiskError> {
        serde_json::to_vec_pretty(value)
            .map_err(std::io::Error::other)
            .and_then(|text| write::replace(path, &text, flush))
            .map_err(DiskError::io("write", path))
    }

    fn read<T: DeserializeOwned>(&self, path: &Path, damaged: &mut Vec<DiskError>) -> Option<T> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                damaged.push(DiskError::io("read", path)(error));
                return None;
            }
        };
        match lenient::from_slice(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                damaged.push(self.set_aside(path, &error.to_string()));
                None
            }
        }
    }

    fn set_aside(&self, path: &Path, why: &str) -> DiskError {
        let aside = path.with_extension("damaged");
        match std::fs::rename(path, &aside) {
            Ok(()) => DiskError::Damaged { path: path.to_owned(), why: why.to_owned(), aside },
            Err(error) => DiskError::io("set aside the damaged file", path)(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::{Crashes, End};

    fn memo() -> Memo {
        Memo {
            replica_id: "00000000-0000-7000-8000-000000000001".parse().expect("an id"),
            node: "one".to_owned(),
            run: 3,
            restarts: 2,
            crashes: Crashes { in_a_row: 1, pauses: 2 },
            been_ready: true,
            ready: false,
            run_was_ready: true,
            stop_ordered: true,
            end: Some(End::Failed),
            exit_code: Some(9),
            message: Some("text".to_owned()),
            image_digest: format!("sha256:{}", "0a".repeat(32)).parse().ok(),
        }
    }

    #[test]
    fn a_second_agent_is_kept_out_and_told_who_is_in() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(dir.path()).expect("free");
        let error = Disk::open(dir.path()).expect_err("taken").to_string();
        assert!(error.contains(&format!("process {}", std::process::id())) && error.contains("of its own"), "{error}");
        drop(disk);
        assert!(Disk::open(dir.path()).is_ok());
    }

    #[test]
    fn each_start_has_a_higher_number_and_damage_is_set_aside() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(dir.path()).expect("free");
        assert_eq!([1, 2, 3].map(|_| disk.next_incarnation().expect("written")), [1, 2, 3]);
        std::fs::write(dir.path().join("incarnation"), "x").expect("written");
        assert!(disk.next_incarnation().expect_err("damaged").to_string().contains("set aside"));
    }

    #[test]
    fn what_is_written_is_read_back_and_damage_counts_as_absence() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(dir.path()).expect("free");
        assert!(disk.load(&["one"]).memos.is_empty());
        disk.save_memo(&memo()).expect("written");
        let seen = Authority { cluster_id: "c".to_owned(), epoch: 1, holder: "h".to_owned(), generation: 2 };
        disk.save_seen(&seen).expect("written");
        std::fs::write(dir.path().join("assignment-one.json"), "{\"authority\":").expect("written");
        let kept = disk.load(&["one", "two"]);
        assert_eq!((kept.memos, kept.seen, kept.lists.len()), (vec![memo()], Some(seen), 0));
        assert_eq!(kept.damaged.len(), 1, "{:?}", kept.damaged);
        assert!(disk.load(&["one"]).damaged.is_empty(), "it is told once");
        for _ in 0..2 {
            disk.remove_memo(memo().replica_id).expect("removed, or not there");
        }
        assert!(disk.load(&[]).memos.is_empty());
    }
}
