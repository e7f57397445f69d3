//! What drivers keep on the agent's disk, a directory a replica: finding it, and letting go of all but the output.
//!
//! Must never judge whether a replica may be let go of: its driver does. Invariant: one rename takes a replica out of what
//! the next agent adopts, so a crash in between forgets it or keeps it, whole. Tests: `tests/it/driver`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fogline_core::id::ReplicaId;

/// The directories of replicas in `dir`.
pub(super) fn replicas_in(dir: &Path) -> Vec<(ReplicaId, PathBuf)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<_> =
        entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path()))).collect();
    found.sort();
    found
}

/// Moves a replica's directory to those that have ended, of which the output of the newest `keep` stays. Says whether
/// there was one.
pub(super) fn retire(dir: &Path, ended_dir: &Path, replica_id: ReplicaId, keep: usize) -> io::Result<bool> {
    let ended = ended_dir.join(replica_id.to_string());
    match fs::rename(dir, &ended) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        // It was forgotten once before: the newer output counts.
        Err(_) => fs::remove_dir_all(&ended).and_then(|()| fs::rename(dir, &ended))?,
        Ok(()) => {}
    }
    keep_only_logs(&ended)?;
    keep_newest(ended_dir, keep)?;
    Ok(true)
}

/// An order holds secrets, a working directory may be large.
fn keep_only_logs(ended: &Path) -> io::Result<()> {
    let logs = ended.join("logs");
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
