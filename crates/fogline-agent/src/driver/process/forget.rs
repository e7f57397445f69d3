//! Clears away what is kept about a replica whose end is acknowledged.
//!
//! Must never take away what runs: the lock says so, whatever this agent knows. Only its output stays, for the last few:
//! see [`kept`]. Tests: `tests/it/driver.rs`.

use std::io;

use fogline_core::id::ReplicaId;

use super::super::kept;
use super::Inner;

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
    let retired = kept::retire(dir.path(), &inner.ended_dir(), replica_id, inner.config.keep_ended);
    if let Err(error) = retired {
        tracing::warn!(%replica_id, %error, "an ended replica is not cleared away; it is tried again with the next one");
    }
}
