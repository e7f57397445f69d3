//! Clears away what is kept about a replica whose end is acknowledged.
//!
//! Must never take away what runs, or may. Its container goes when the engine is there to be asked, after its output was
//! kept with that of the last few: see [`kept`]. Tests: `tests/it/driver`.

use fogline_core::id::ReplicaId;

use super::super::kept;
use super::Inner;

pub(super) fn forget(inner: &Inner, replica_id: ReplicaId) {
    if inner.slot(replica_id).is_some() {
        tracing::warn!(%replica_id, "a replica that runs is not forgotten");
        return;
    }
    let record = inner.record(replica_id);
    let _alone = inner.records();
    if record.whole().is_some_and(|record| record.exit.is_none()) {
        tracing::error!(%replica_id, "a replica is not forgotten: how its last run ended is not known");
        return;
    }
    match kept::retire(record.path(), &inner.ended_dir(), replica_id, inner.config.keep_ended) {
        Ok(false) => return,
        Ok(true) => {}
        Err(error) => tracing::warn!(
            %replica_id, %error, "an ended replica is not cleared away; it is tried again with the next one"
        ),
    }
    // Followers of its output end, and its container goes.
    inner.changed.send_modify(|count| *count += 1);
    inner.look.notify_one();
}
