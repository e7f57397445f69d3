//! One replica as this proxy sees it: what is open with it, and how it has done.
//!
//! Invariants: once it is marked as leaving and nothing is open with it, nothing is ever opened with it again; a slot that
//! is not had is never counted, not even for a moment, because somebody who gives one back would not offer it. That is why
//! the mark and the slots are one number.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use fogline_core::id::ReplicaId;
use fogline_core::traffic::ReplicaTraffic;

/// The bit of a leaving replica, beside the number of its slots.
const LEAVING: u32 = 1 << 31;

/// What is counted of a replica. Outlives a change of its endpoint.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// All that is open, counted or not: what bounds it and what a leaving replica is waited for. And [`LEAVING`].
    slots: AtomicU32,
    pub open: AtomicU32,
    pub ended: AtomicU64,
    pub failed: AtomicU64,
    pub latency_sum_us: AtomicU64,
    /// When it became able to take requests; 0 where it has been all along.
    pub ready_us: AtomicU64,
    /// What [`crate::balance::ejection::failed`] counts, in a row.
    pub failures_in_row: AtomicU32,
    pub ejected_until_us: AtomicU64,
    pub ejections: AtomicU32,
}

/// A replica that requests can be sent to.
#[derive(Debug)]
pub struct Upstream {
    /// Which.
    pub replica_id: ReplicaId,
    /// `address:port`.
    pub endpoint: Arc<str>,
    /// Names this replica at this endpoint, for pools of connections.
    pub(crate) key: u64,
    pub(crate) load: Arc<Load>,
    /// Whether this proxy's own probe has found it ready before the table says so.
    pub(crate) probed: AtomicBool,
}

impl Upstream {
    pub(crate) fn new(replica_id: ReplicaId, endpoint: Arc<str>, load: Arc<Load>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let key = NEXT.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { replica_id, endpoint, key, load, probed: AtomicBool::new(false) })
    }

    /// Takes one of `most` slots.
    pub(crate) fn take(&self, most: u32) -> bool {
        // One that leaves has more than any bound, by its bit.
        let most = most.min(LEAVING - 1);
        let more = |slots: u32| (slots < most).then_some(slots + 1);
        self.load.slots.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    /// Gives a slot back. Says whether that was the last thing that a leaving replica was waited for.
    pub(crate) fn give_back(&self) -> bool {
        let before = self.load.slots.fetch_sub(1, Ordering::SeqCst);
        before == LEAVING | 1
    }

    pub(crate) fn slots(&self) -> u32 {
        self.load.slots.load(Ordering::SeqCst) & !LEAVING
    }

    pub(crate) fn set_leaving(&self, leaving: bool) {
        if leaving {
            self.load.slots.fetch_or(LEAVING, Ordering::SeqCst);
        } else {
            self.load.slots.fetch_and(!LEAVING, Ordering::SeqCst);
        }
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.load.slots.load(Ordering::SeqCst) & LEAVING != 0
    }

    pub(crate) fn is_ejected(&self, now_us: u64) -> bool {
        self.load.ejected_until_us.load(Ordering::Relaxed) > now_us
    }

    /// Its figures; nothing where it has had no request.
    pub(crate) fn traffic(&self, now_us: u64) -> Option<ReplicaTraffic> {
        let load = &self.load;
        let (ended, open) = (load.ended.load(Ordering::Relaxed), load.open.load(Ordering::Relaxed));
        (ended > 0 || open > 0).then(|| ReplicaTraffic {
            replica_id: self.replica_id,
            ended,
            failed: load.failed.load(Ordering::Relaxed),
            open,
            latency_sum: Duration::from_micros(load.latency_sum_us.load(Ordering::Relaxed)),
            ejected: self.is_ejected(now_us),
        })
    }
}

#[cfg(test)]
mod tests {
    use fogline_core::id::IdSource;
    use fogline_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_slot_that_is_not_had_is_not_counted_and_the_last_of_one_that_leaves_is_told() {
        let replica_id = IdSource::new(1).next(Timestamp::EPOCH);
        let upstream = Upstream::new(replica_id, "127.0.0.1:1".into(), Arc::default());
        assert!(upstream.take(2) && upstream.take(2) && !upstream.take(2));
        assert_eq!(upstream.slots(), 2);
        assert!(!upstream.give_back(), "it does not leave");
        upstream.set_leaving(true);
        assert!(!upstream.take(2) && !upstream.take(u32::MAX));
        assert!(upstream.is_leaving() && upstream.slots() == 1);
        assert!(upstream.give_back());
        upstream.set_leaving(false);
        assert!(upstream.take(u32::MAX) && upstream.slots() == 1);
    }
}
