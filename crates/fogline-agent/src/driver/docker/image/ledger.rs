//! Which images this agent has pulled itself, by which names, and for how long no replica of it has used them.
//!
//! On disk, so that an agent that restarts removes what it has brought and nothing else. No calendar: how long an image
//! was unused is counted while an agent runs, and goes on from there after a restart or a reboot; the time between counts
//! for the image. Must never name an image that was on the node before. Tests: below.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::disk::lenient;
use crate::disk::write::{self, Flush};

/// Images that are remembered; the ones that are used last stay.
const MOST: usize = 10_000;

/// An image that was pulled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// The whole names that it was pulled by.
    pub names: BTreeSet<String>,
    unused_before: Duration,
    since_us: u64,
}

impl Entry {
    pub fn unused(&self, now_us: u64) -> Duration {
        self.unused_before.saturating_add(Duration::from_micros(now_us.saturating_sub(self.since_us)))
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    images: BTreeMap<String, StoredEntry>,
}

#[derive(Serialize, Deserialize)]
struct StoredEntry {
    names: BTreeSet<String>,
    unused_s: u64,
}

/// All of them, by the engine's id.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl Ledger {
    /// What an earlier agent has written there. What cannot be read counts as nothing: its images stay for ever, which
    /// is better than removing what somebody needs.
    pub fn open(path: PathBuf, now_us: u64) -> Self {
        let stored = match std::fs::read(&path) {
            Ok(text) => lenient::from_slice(&text).unwrap_or_else(|error| {
                tracing::error!(path = %path.display(), %error, "which images were pulled is not known any more");
                Stored { images: BTreeMap::new() }
            }),
            Err(_) => Stored { images: BTreeMap::new() },
        };
        let entry = |stored: StoredEntry| Entry {
            names: stored.names,
            unused_before: Duration::from_secs(stored.unused_s),
            since_us: now_us,
        };
        let entries = stored.images.into_iter().map(|(id, stored)| (id, entry(stored))).collect();
        Self { path, entries: Mutex::new(entries) }
    }

    /// An image was pulled by this name. `is_new`: it was not on the node before.
    pub fn pulled(&self, id: &str, name: &str, is_new: bool, now_us: u64) {
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(id) {
            entry.names.insert(name.to_owned());
        } else if is_new {
            let entry = Entry { names: [name.to_owned()].into(), unused_before: Duration::ZERO, since_us: now_us };
            entries.insert(id.to_owned(), entry);
        }
        if entries.len() > MOST {
            let oldest = entries.iter().max_by_key(|(_, entry)| entry.unused(now_us)).map(|(id, _)| id.clone());
            oldest.and_then(|id| entries.remove(&id));
        }
        drop(entries);
        self.used(id, now_us);
    }

    /// A replica needs it, now.
    pub fn used(&self, id: &str, now_us: u64) {
        if let Some(entry) = self.entries().get_mut(id) {
            (entry.unused_before, entry.since_us) = (Duration::ZERO, now_us);
        }
    }

    /// The engine does not hold it any more.
    pub fn gone(&self, id: &str) {
        self.entries().remove(id);
    }

    pub fn all(&self) -> BTreeMap<String, Entry> {
        self.entries().clone()
    }

    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// Blocks.
    pub fn save(&self, now_us: u64) -> io::Result<()> {
        let stored =
            |entry: &Entry| StoredEntry { names: entry.names.clone(), unused_s: entry.unused(now_us).as_secs() };
        let images = self.entries().iter().map(|(id, entry)| (id.clone(), stored(entry))).collect();
        let text = serde_json::to_vec_pretty(&Stored { images }).map_err(io::Error::other)?;
        write::replace(&self.path, &text, Flush::Yes)
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: u64 = 3_600_000_000;

    #[test]
    fn only_what_was_brought_is_remembered_and_for_how_long_it_was_of_no_use() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("images.json");
        let ledger = Ledger::open(path.clone(), 0);
        ledger.pulled("sha256:a", "docker.io/library/web:v1", true, 0);
        ledger.pulled("sha256:b", "docker.io/library/other:v1", false, 0);
        ledger.pulled("sha256:a", "docker.io/library/web:v2", false, HOUR_US);
        ledger.used("sha256:b", HOUR_US);
        ledger.save(4 * HOUR_US).expect("written");

        // The machine was booted again: its clock starts anew.
        let later = Ledger::open(path, 1_000_000);
        let entries = later.all();
        assert_eq!(entries.keys().collect::<Vec<_>>(), ["sha256:a"]);
        let entry = &entries["sha256:a"];
        assert_eq!(entry.names.iter().collect::<Vec<_>>(), ["docker.io/library/web:v1", "docker.io/library/web:v2"]);
        assert_eq!(entry.unused(1_000_000), Duration::from_secs(3 * 3_600));
        assert_eq!(entry.unused(1_000_000 + HOUR_US), Duration::from_secs(4 * 3_600));
        later.used("sha256:a", HOUR_US);
        assert_eq!(later.all()["sha256:a"].unused(HOUR_US), Duration::ZERO);
        later.gone("sha256:a");
        assert!(later.is_empty());
    }

    #[test]
    fn what_cannot_be_read_removes_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("images.json");
        std::fs::write(&path, "{\"images\": 1").expect("written");
        let ledger = Ledger::open(path, 0);
        assert!(ledger.is_empty());
        ledger.pulled("sha256:a", "web", true, 0);
        ledger.save(0).expect("written over");
    }
}
