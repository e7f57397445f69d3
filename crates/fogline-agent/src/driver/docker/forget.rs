//! Clears away what is kept about a replica whose end is acknowledged.
//!
//! Must never take away what runs, or may. Invariant: one rename takes the replica out of what the next agent adopts, so a
//! crash in between forgets it or keeps it, whole. Its container goes when the engine is there to be asked, after its
//! output was kept with that of the last few. Tests: `tests/it/driver`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fogline_core::id::ReplicaId;

use super::{Inner, replicas_in};

pub(super) fn forget(inner: &Inner, replica_id: ReplicaId) {
    if inner.slot(replica_id).is_some() {
        tracing::warn!(%replica_id, "a replica that runs is not forgotten");
        return;
    }
    let (record, ended) = (inner.record(replica_id), inner.ended(replica_id));
    let _alone = inner.records();
    if record.whole().is_some_and(|record| record.exit.is_none()) {
        tracing::error!(%replica_id, "a replica is not forgotten: how its last run ended is not known");
        return;
    }
    let moved = match fs::rename(record.path(), ended.path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        // It was forgotten once before: the newer output counts.
        Err(_) => fs::remove_dir_all(ended.path()).and_then(|()| fs::rename(record.path(), ended.path())),
        Ok(()) => Ok(()),
    };
    let cleared = moved
        .and_then(|()| ended.keep_only_logs())
        .and_then(|()| keep_newest(&inner.ended_dir(), inner.config.keep_ended));
    if let Err(error) = cleared {
        tracing::warn!(%replica_id, %error, "an ended replica is not cleared away; it is tried again with the next one");
    }
    // Followers of its output end, and its container goes.
    inner.changed.send_modify(|count| *count += 1);
    inner.look.notify_one();
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
