//! Passive ejection: a replica that fails again and again is given nothing for a while.
//!
//! Invariant: at most half of the ready replicas are out at a time, so never the last one: where all fail, requests had
//! better reach one than none. Tests: `tests/it/front`.

use std::sync::atomic::Ordering;

use crate::service::{Service, Upstream};

/// Failures in a row that eject.
const FAILURES: u32 = 5;
/// How long the first time; the second time twice as long, and so on.
const FIRST_US: u64 = 10_000_000;
/// How long at most. One that has behaved for as long begins anew.
const MOST_US: u64 = 300_000_000;

/// A connect failed, the connection broke, or the answer was 502, 503 or 504.
pub(crate) fn failed(service: &Service, upstream: &Upstream) {
    let load = &upstream.load;
    if load.failures_in_row.fetch_add(1, Ordering::Relaxed) + 1 < FAILURES {
        return;
    }
    let (view, now_us) = (service.view(), service.now_us());
    let out = view.ready.iter().filter(|other| other.is_ejected(now_us)).count();
    // Two workers that eject at the same moment may go one over the half; where all are out, `take_slot` spares them.
    if upstream.is_ejected(now_us) || (out + 1) * 2 > view.ready.len() {
        return;
    }
    load.failures_in_row.store(0, Ordering::Relaxed);
    let behaved_us = now_us.saturating_sub(load.ejected_until_us.load(Ordering::Relaxed));
    let times = if behaved_us >= MOST_US { 1 } else { load.ejections.load(Ordering::Relaxed).saturating_add(1) };
    load.ejections.store(times, Ordering::Relaxed);
    let for_us = FIRST_US.saturating_mul(times.into()).min(MOST_US);
    load.ejected_until_us.store(now_us.saturating_add(for_us), Ordering::Relaxed);
    tracing::info!(replica = %upstream.replica_id, seconds = for_us / 1_000_000, "a replica that keeps failing is given nothing for a while");
}

/// It answered, with something else.
pub(crate) fn worked(upstream: &Upstream) {
    // Read first: a store by every request would make all workers fight for the line.
    if upstream.load.failures_in_row.load(Ordering::Relaxed) != 0 {
        upstream.load.failures_in_row.store(0, Ordering::Relaxed);
    }
}
