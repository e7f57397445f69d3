//! What is done for those who wait: the wake-up, at once and again while it still sleeps; probes of replicas that start.
//!
//! One task a service, and only while somebody waits. Invariant: at most one wake-up each [`WAKE_EVERY_US`], however many
//! wait.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};

use super::probe;
use crate::front::Event;
use crate::service::Service;

/// How far apart wake-ups for one service are at least.
pub(super) const WAKE_EVERY_US: u64 = 2_000_000;

impl Service {
    /// Says that requests wait for a service that sleeps, if that has not just been said.
    pub(super) fn wake(&self, now_us: u64) {
        if !self.view().told.asleep {
            return;
        }
        let last_us = self.woken_us.load(Ordering::Relaxed);
        if last_us != 0 && now_us.saturating_sub(last_us) < WAKE_EVERY_US {
            return;
        }
        let mine = self.woken_us.compare_exchange(last_us, now_us.max(1), Ordering::Relaxed, Ordering::Relaxed);
        if mine.is_ok() {
            let event = Event::Wake { deployment_id: self.id(), held: self.line.waiting() };
            // Nobody listens any more only when the proxy ends.
            let _ = self.shared.events.send(event);
        }
    }

    /// Wakes it for somebody who does not wait.
    pub(crate) fn wake_for_another(&self) {
        if self.line.refused(self.now_us()).is_none() {
            self.wake(self.now_us());
        }
    }

    /// Has somebody attend to those who wait, unless somebody does.
    pub(super) fn call_for_attention(self: &Arc<Self>) {
        if !self.line.attended.swap(true, Ordering::SeqCst) {
            let mut unattended = self.shared.unattended.lock().unwrap_or_else(PoisonError::into_inner);
            unattended.push(Arc::clone(self));
            self.shared.attention.notify_one();
        }
    }
}

/// Attends to those who wait for this service, until nobody does.
pub(crate) async fn attend(service: Arc<Service>) {
    let mut probes = JoinSet::new();
    let mut probed = BTreeMap::new();
    loop {
        // Before the look: whoever comes after it calls again.
        if service.line.waiting() == 0 {
            service.line.attended.store(false, Ordering::SeqCst);
            if service.line.waiting() == 0 || service.line.attended.swap(true, Ordering::SeqCst) {
                return;
            }
        }
        // An ejection that has ended gives back no slot that would be offered.
        service.offer_slots();
        service.wake(service.now_us());
        let (starting, readiness) = {
            let view = service.view();
            (view.starting.clone(), view.told.readiness.clone())
        };
        if let Some(readiness) = readiness {
            probed.retain(|_, probe: &mut AbortHandle| !probe.is_finished());
            for upstream in starting {
                probed.entry(upstream.key).or_insert_with(|| {
                    probes.spawn(probe::until_ready(Arc::clone(&service), upstream, readiness.clone()))
                });
            }
        }
        while probes.try_join_next().is_some() {}
        let pause = Duration::from_micros(WAKE_EVERY_US);
        // Either way there is something to look at.
        let _ = tokio::time::timeout(pause, service.line.news.notified()).await;
    }
}
