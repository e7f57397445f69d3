//! One request from its first byte to the last of its answer: counted in once, and out once, however it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Service;

/// A request in hand. Dropping it counts it out.
#[derive(Debug)]
pub struct Ticket {
    service: Arc<Service>,
    counted: bool,
    began_us: u64,
    failed: bool,
    refused: bool,
    /// For replicas, altogether.
    waited_us: u64,
    /// For one that had to be started from none, where there was none.
    cold_start_us: Option<u64>,
}

impl Ticket {
    pub(super) fn new(service: Arc<Service>, counted: bool, began_us: u64) -> Self {
        Self { service, counted, began_us, failed: false, refused: false, waited_us: 0, cold_start_us: None }
    }

    /// Whether it is in the figures.
    #[must_use]
    pub fn counted(&self) -> bool {
        self.counted
    }

    /// When it came in, on the proxy's clock.
    #[must_use]
    pub fn began_us(&self) -> u64 {
        self.began_us
    }

    /// It was answered with this status, by a replica or in its place.
    pub fn answered(&mut self, status: u16) {
        self.failed = (500..=599).contains(&status);
    }

    /// A connection that is passed on as it is could not be.
    pub fn failed(&mut self) {
        self.failed = true;
    }

    /// The proxy refused it: no room to wait, or it waited too long.
    pub fn refused(&mut self) {
        self.refused = true;
    }

    /// It met its deployment at zero and waited this long.
    pub(crate) fn waited_for_a_cold_start(&mut self, waited_us: u64) {
        self.cold_start_us = Some(waited_us);
    }

    /// It waited so long for a replica, this time.
    pub(crate) fn waited(&mut self, waited_us: u64) {
        self.waited_us += waited_us;
    }

    /// How long it has waited for replicas.
    #[must_use]
    pub fn waited_us(&self) -> u64 {
        self.waited_us
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.counted {
            return;
        }
        let tally = &self.service.tally;
        let now_us = self.service.now_us();
        if self.failed {
            tally.failed.fetch_add(1, Ordering::Relaxed);
        }
        if self.refused {
            tally.refused.fetch_add(1, Ordering::Relaxed);
        } else if let Some(waited_us) = self.cold_start_us {
            tally.cold_starts.add(waited_us);
        }
        tally.latency.add(now_us.saturating_sub(self.began_us));
        tally.last_us.store(now_us, Ordering::Relaxed);
        // Last, so that whoever sees it ended sees the rest too.
        tally.ended.fetch_add(1, Ordering::Release);
    }
}
