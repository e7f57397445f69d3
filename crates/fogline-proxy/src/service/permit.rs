//! Leave to send one request to one replica: a slot of it, given back on drop.
//!
//! Invariant: a slot that is given back is offered to the first that waits; the last one of a leaving replica is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Service, Upstream};
use crate::balance::ejection;
use crate::front::Event;

/// Leave to send one request to one replica.
#[derive(Debug)]
pub struct Permit {
    service: Arc<Service>,
    upstream: Arc<Upstream>,
    counted: bool,
    began_us: u64,
    failed: bool,
}

impl Permit {
    /// For a slot that has been taken.
    pub(crate) fn new(service: Arc<Service>, upstream: Arc<Upstream>, counted: bool, began_us: u64) -> Self {
        if counted {
            service.tally.open.fetch_add(1, Ordering::Relaxed);
            upstream.load.open.fetch_add(1, Ordering::Relaxed);
        }
        Self { service, upstream, counted, began_us, failed: false }
    }

    /// The replica.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// No connection to the replica could be made, so it has been sent nothing.
    pub fn could_not_connect(&mut self) {
        self.failed = true;
        ejection::failed(&self.service, &self.upstream);
        self.service.disbelieve(&self.upstream);
    }

    /// The replica answered so. Only what says that it cannot work counts against it: what goes wrong with one request
    /// (500) may be that request's own doing, and whoever can make it must not take replicas away from others.
    pub fn answered(&mut self, status: u16) {
        self.failed = (500..=599).contains(&status);
        if (502..=504).contains(&status) {
            ejection::failed(&self.service, &self.upstream);
        } else {
            ejection::worked(&self.upstream);
        }
    }

    /// The replica closed the connection, or was silent for too long, instead of answering. It is ejected for that only
    /// where it is to blame.
    pub fn broke(&mut self, blamed: bool) {
        self.failed = true;
        if blamed {
            ejection::failed(&self.service, &self.upstream);
        }
    }

    /// A connection to the replica was made: enough for one that is passed on as it is.
    pub fn connected(&self) {
        ejection::worked(&self.upstream);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.counted {
            let load = &self.upstream.load;
            load.latency_sum_us.fetch_add(self.service.now_us().saturating_sub(self.began_us), Ordering::Relaxed);
            load.failed.fetch_add(self.failed.into(), Ordering::Relaxed);
            load.ended.fetch_add(1, Ordering::Relaxed);
            load.open.fetch_sub(1, Ordering::Relaxed);
            self.service.tally.open.fetch_sub(1, Ordering::Relaxed);
        }
        if self.upstream.give_back() {
            // Nobody listens any more only when the proxy ends.
            let _ = self.service.shared.events.send(Event::LetGo);
        }
        self.service.offer_slots();
    }
}
