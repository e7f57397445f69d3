//! Clears away what is kept about a replica whose end is acknowledged.
//!
//! Must never take away what runs: the lock says so, whatever this agent knows. Invariant: one rename takes it out of what the next agent adopts, so a crash in between forgets it or keeps it, whole.
//! Only its output stays, for the last few. Tests: `tests/it/driver.rs`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fogline_core::id::ReplicaId;

use super::{Inner, replicas_in};
use crate::shim::replica_dir::ReplicaDir;

pub(super) fn forget(inner: &Inner, replica_id: ReplicaId) {
    let dir = inner.dir(replica_id);
    if inner.runs().contains_key(&replica_id) {
        tracing::warn!(%replica_id, "a replica that runs is not forgotten");
        return;
    }
    // A replica may run that this agent does not know of. Then it stays to be found by the next one.
    let _lock = match dir.lock() {
        Ok(Some(lock)) => lock,
        Ok(None) => {
            tracing::error!(%replica_id, "a replica is not forgotten: a process of its last run still holds it");
            return;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            tracing::warn!(%replica_id, %error, "an ended replica is not cleared away: its lock cannot be taken");
            return;
        }
    };
    if let Some(cgroup) = dir.order().and_then(|order| order.launch.cgroup) {
        cgroup.remove();
    }
    let ended_dir = inner.ended_dir();
    let ended = ended_dir.join(replica_id.to_string());
    let moved = match fs::rename(dir.path(), &ended) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        // It was forgotten once before: the newer output counts.
        Err(_) => fs::remove_dir_all(&ended).and_then(|()| fs::rename(dir.path(), &ended)),
        Ok(()) => Ok(()),
    };
    let cleared =
        moved.and_then(|()| keep_only_logs(&ended)).and_then(|()| keep_newest(&ended_dir, inner.config.keep_ended));
    if let Err(error) = cleared {
        tracing::warn!(%replica_id, %error, "an ended replica is not cleared away; it is tried again with the next one");
    }
}

/// An order holds secrets, a working directory may be large.
fn keep_only_logs(ended: &Path) -> io::Result<()> {
    let logs = ReplicaDir::at(ended.to_owned()).logs();
    for entry in fs::read_dir(ended)? {
        let entry = entry?;
        if entry.path() == logs {
            continue;
        }
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    Ok(())
}

/// Removing the other files has just changed the newest one's time.
fn keep_newest(ended_dir: &Path, keep: usize) -> io::Result<()> {
    let mut all: Vec<(SystemTime, PathBuf)> = replicas_in(ended_dir)
        .into_iter()
        .map(|(_, path)| {
            (fs::metadata(&path).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH), path)
        })
        .collect();
    all.sort();
    let surplus = all.len().saturating_sub(keep);
    for (_, path) in all.drain(..surplus) {
        fs::remove_dir_all(path)?;
    }
    Ok(())
}
