//! A service's state as one whole that readers take in one step, and the ways in which it changes.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use fogline_core::traffic::{Service as Told, UpstreamState};

use super::{Load, Service, Upstream};

/// What the server told of a service, and its replicas by how they stand to requests.
#[derive(Debug)]
pub(crate) struct View {
    pub told: Told,
    /// Those that take requests: ready by the table, or by this proxy's own probe.
    pub ready: Vec<Arc<Upstream>>,
    pub starting: Vec<Arc<Upstream>>,
    pub leaving: Vec<Arc<Upstream>>,
}

impl View {
    pub(super) fn first(told: Told) -> Self {
        Self::build(told, std::iter::empty())
    }

    /// Replicas that `known` has are the same ones as before.
    fn build<'a>(told: Told, known: impl Iterator<Item = &'a Arc<Upstream>> + Clone) -> Self {
        let (mut ready, mut starting, mut leaving) = (Vec::new(), Vec::new(), Vec::new());
        for upstream in &told.upstreams {
            let before = known.clone().find(|known| known.replica_id == upstream.replica_id);
            let same = match before {
                Some(before) if before.endpoint == upstream.endpoint => Arc::clone(before),
                before => {
                    let load = before.map_or_else(Arc::<Load>::default, |before| Arc::clone(&before.load));
                    Upstream::new(upstream.replica_id, Arc::clone(&upstream.endpoint), load)
                }
            };
            same.set_leaving(upstream.state == UpstreamState::Leaving);
            match upstream.state {
                UpstreamState::Ready => ready.push(same),
                UpstreamState::Starting if same.probed.load(Ordering::Relaxed) => ready.push(same),
                UpstreamState::Starting => starting.push(same),
                UpstreamState::Leaving => leaving.push(same),
            }
        }
        Self { told, ready, starting, leaving }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Upstream>> + Clone {
        self.ready.iter().chain(&self.starting).chain(&self.leaving)
    }
}

impl Service {
    /// Takes what the server tells now.
    pub(crate) fn apply(self: &Arc<Self>, told: Told) {
        let (asleep, serving) = (told.asleep, told.serving);
        if !asleep {
            // So that it is woken at once when it falls asleep again.
            self.woken_us.store(0, Ordering::Relaxed);
            self.line.forget_refusal();
        }
        self.change(|_| told);
        if asleep {
            self.at_zero.store(true, Ordering::Relaxed);
        }
        if serving {
            self.offer_slots();
        } else {
            self.refuse_all();
        }
    }

    /// This proxy's own probe has found a starting replica ready.
    pub(crate) fn believe(self: &Arc<Self>, upstream: &Arc<Upstream>) {
        upstream.probed.store(true, Ordering::Relaxed);
        self.change(|before| before.told.clone());
        self.offer_slots();
    }

    /// A replica that only a probe has found ready could not be reached after all.
    pub(crate) fn disbelieve(&self, upstream: &Upstream) {
        if upstream.probed.swap(false, Ordering::Relaxed) {
            self.change(|before| before.told.clone());
        }
    }

    fn change(&self, told: impl FnOnce(&View) -> Told) {
        // A view is built whole or not at all, so a poisoned lock guards nothing half-done.
        let mut gone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.view.load_full();
        let after = View::build(told(&before), before.all().chain(gone.iter()));
        let stays = |known: &Arc<Upstream>| after.all().any(|upstream| upstream.replica_id == known.replica_id);
        gone.retain(|known| !stays(known) && known.slots() > 0);
        for left in before.all().filter(|known| !stays(known)) {
            left.set_leaving(true);
            if left.slots() > 0 {
                gone.push(Arc::clone(left));
            }
        }
        for upstream in &after.ready {
            let was_ready = before.ready.iter().any(|known| known.replica_id == upstream.replica_id);
            if !was_ready {
                upstream.load.ready_us.store(self.now_us(), Ordering::Relaxed);
            }
        }
        if !after.ready.is_empty() {
            self.at_zero.store(false, Ordering::Relaxed);
        }
        self.view.store(Arc::new(after));
        self.line.changed();
    }

    /// Whether a replica that is in no table now still has something open.
    pub(crate) fn holds_on(&self) -> bool {
        let gone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        gone.iter().any(|upstream| upstream.slots() > 0)
    }

    /// Nothing more is sent to any of its replicas: it is in no table now.
    pub(crate) fn close(self: &Arc<Self>) {
        let told = Told { serving: false, upstreams: Vec::new(), ..self.view.load().told.clone() };
        self.apply(told);
    }
}
