//! A service's figures, as they are told.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fogline_core::id::ReplicaId;
use fogline_core::traffic::ServiceTraffic;

use super::Service;

impl Service {
    /// What has been seen of it.
    pub(crate) fn traffic(&self) -> ServiceTraffic {
        let (tally, view, now_us) = (&self.tally, self.view(), self.now_us());
        // `ended` first: read the other way round, a request that begins and ends between would be one too many.
        let ended = tally.ended.load(Ordering::Acquire);
        let begun = tally.begun.load(Ordering::Relaxed).max(ended);
        let quiet_us = if begun > ended { 0 } else { now_us.saturating_sub(tally.last_us.load(Ordering::Relaxed)) };
        ServiceTraffic {
            deployment_id: self.id,
            begun,
            ended,
            failed: tally.failed.load(Ordering::Relaxed),
            refused: tally.refused.load(Ordering::Relaxed),
            open: tally.open.load(Ordering::Relaxed),
            held: self.line.waiting(),
            quiet: Duration::from_micros(quiet_us),
            latency: tally.latency.buckets(),
            latency_sum: tally.latency.sum(),
            cold_starts: tally.cold_starts.buckets(),
            cold_start_sum: tally.cold_starts.sum(),
            replicas: view.all().filter_map(|upstream| upstream.traffic(now_us)).collect(),
        }
    }

    /// Leaving replicas that nothing is open with.
    pub(crate) fn let_go(&self) -> Vec<ReplicaId> {
        let view = self.view();
        view.leaving.iter().filter(|upstream| upstream.slots() == 0).map(|upstream| upstream.replica_id).collect()
    }
}
