//! A deployment as its requests see it: who can take them, who waits, what was counted.
//!
//! It stays the same over changes of the table, so that nothing that is open, waits or was counted is lost by one.
//! Invariant: what readers see of it ([`View`]) is built whole and swapped; a lock is held only where something waits or a
//! view is built. Tests: `tests/it/front`.

pub(crate) mod budget;
mod describe;
mod permit;
mod tally;
mod ticket;
mod upstream;
mod view;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use fogline_core::id::DeploymentId;
use fogline_core::traffic::Service as Told;
use tokio::sync::{Notify, mpsc};

use crate::clock::Clock;
use crate::front::Event;
use crate::hold::Line;
use budget::Budget;
use tally::Tally;

pub use permit::Permit;
pub use ticket::Ticket;
pub(crate) use upstream::Load;
pub use upstream::Upstream;
pub(crate) use view::View;

/// What all services of a proxy share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub clock: Clock,
    pub events: mpsc::UnboundedSender<Event>,
    /// Services that requests have begun to wait for, and that nobody attends to yet.
    pub unattended: Mutex<Vec<Arc<Service>>>,
    pub attention: Notify,
}

/// A deployment as its requests see it.
#[derive(Debug)]
pub struct Service {
    id: DeploymentId,
    pub(crate) shared: Arc<Shared>,
    pub(crate) budget: Arc<Budget>,
    view: ArcSwap<View>,
    /// Replicas that are in no table now and still have something open: one that comes back, as leaving, must not seem
    /// free. Held while a new view is built.
    changing: Mutex<Vec<Arc<Upstream>>>,
    tally: Tally,
    pub(crate) line: Line,
    /// Whether it has been at zero since a replica could last take a request: what waits meanwhile waits for a cold start.
    pub(crate) at_zero: AtomicBool,
    /// When it was last asked to wake; 0 where it was not since it fell asleep.
    pub(crate) woken_us: AtomicU64,
}

impl Service {
    pub(crate) fn new(told: Told, shared: Arc<Shared>, budget: Arc<Budget>) -> Arc<Self> {
        let now_us = shared.clock.now_us();
        let id = told.deployment_id;
        let at_zero = AtomicBool::new(told.asleep);
        let tally = Tally { last_us: AtomicU64::new(now_us), ..Tally::default() };
        let view = ArcSwap::from_pointee(View::first(told));
        let (line, woken_us) = (Line::default(), AtomicU64::new(0));
        Arc::new(Self { id, shared, budget, view, changing: Mutex::default(), tally, line, at_zero, woken_us })
    }

    /// Which deployment.
    #[must_use]
    pub fn id(&self) -> DeploymentId {
        self.id
    }

    /// What it is at this moment.
    pub(crate) fn view(&self) -> arc_swap::Guard<Arc<View>> {
        self.view.load()
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.shared.clock.now_us()
    }

    /// Counts a request in, from its first byte; the ticket counts it out. What is not counted gets a ticket that counts
    /// nothing.
    #[must_use]
    pub fn begin(self: &Arc<Self>, counted: bool) -> Ticket {
        if counted {
            self.tally.begun.fetch_add(1, Ordering::Relaxed);
        }
        Ticket::new(Arc::clone(self), counted, self.now_us())
    }
}
