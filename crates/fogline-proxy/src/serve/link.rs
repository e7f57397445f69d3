//! One client's connection, as its requests see it: who the client is, what is in hand, and what it does not take.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::door::{Door, Entered};
use super::io::{Verdict, Watch};
use super::rounds::{Bell, Waits};
use super::worker::Worker;
use crate::clock::micros;
use crate::forward::Client;

/// One client's connection.
pub(crate) struct Link {
    pub worker: Rc<Worker>,
    pub client: Client,
    watch: Arc<Watch>,
    /// Whether it carries several requests at a time.
    multiplexed: bool,
    /// How long the client may take nothing of the answer, where there is one at a time.
    most_blocked_us: Cell<u64>,
    /// The answers that are on their way, where there may be several.
    answers: RefCell<Vec<Rc<Waiting>>>,
    bell: Bell,
    /// Its place among all connections: as long as anything of it lives, what it has gone over to as well.
    _entered: Entered,
}

/// An answer of a multiplexed connection, as its client takes it.
struct Waiting {
    /// Since when it waits for its client; 0 where it does not.
    since_us: Cell<u64>,
    /// How long it may.
    most_us: u64,
}

/// One request of a connection. Dropping it ends it.
pub(crate) struct InHand(Arc<Watch>);

/// Notes whether the client of a multiplexed connection takes an answer. That shows in the answer alone: the stream itself
/// goes on moving while the window of one answer is shut.
pub(crate) struct Taken {
    link: Rc<Link>,
    waiting: Rc<Waiting>,
}

impl Link {
    pub(super) fn new(
        worker: Rc<Worker>,
        client: Client,
        watch: Arc<Watch>,
        multiplexed: bool,
        entered: Entered,
    ) -> Rc<Self> {
        let most_blocked_us = Cell::new(micros(worker.door.patience.rest));
        let (answers, bell) = (RefCell::default(), Bell::default());
        let link =
            Rc::new(Self { worker, client, watch, multiplexed, most_blocked_us, answers, bell, _entered: entered });
        link.worker.rounds.add(&link);
        link
    }

    /// Whether it carries several requests at a time.
    pub fn is_multiplexed(&self) -> bool {
        self.multiplexed
    }

    pub fn door(&self) -> &Arc<Door> {
        &self.worker.door
    }

    /// A request begins.
    pub fn begin(&self) -> InHand {
        self.watch.open.fetch_add(1, Relaxed);
        self.watch.had_one.store(true, Relaxed);
        InHand(Arc::clone(&self.watch))
    }

    /// An answer begins that the client may leave untaken for so long, or for as long as a connection may rest. Nothing
    /// where the stream itself shows whether it is taken.
    pub fn answers(self: &Rc<Self>, most_blocked: Option<Duration>) -> Option<Taken> {
        let most_us = micros(most_blocked.unwrap_or(self.worker.door.patience.rest));
        if !self.multiplexed {
            self.most_blocked_us.set(most_us);
            return None;
        }
        let waiting = Rc::new(Waiting { since_us: Cell::new(0), most_us });
        self.answers.borrow_mut().push(Rc::clone(&waiting));
        Some(Taken { link: Rc::clone(self), waiting })
    }

    /// Whether it is to end: by the order to stop, or because the client takes too long.
    pub(super) fn verdict(&self, now_us: u64) -> Verdict {
        match self.taken(now_us) {
            Verdict::Fine if self.worker.stops.get() => Verdict::Rested,
            verdict => verdict,
        }
    }

    fn taken(&self, now_us: u64) -> Verdict {
        let answers = self.answers.borrow();
        let open = self.watch.open.load(Relaxed) as usize;
        let blocked = answers.iter().filter(|answer| answer.is_blocked(now_us)).count();
        // Others that go on over the same connection are not cut off with it: nothing new is taken, and they end.
        if blocked > 0 {
            return if blocked >= open { Verdict::Lost } else { Verdict::Rested };
        }
        // A stream that is blocked altogether is so for all of its answers.
        let most_blocked_us = answers.iter().map(|answer| answer.most_us).max();
        self.watch.verdict(now_us, self.multiplexed, most_blocked_us.unwrap_or(self.most_blocked_us.get()))
    }
}

impl Waits for Link {
    fn is_due(&self, now_us: u64) -> bool {
        self.verdict(now_us) != Verdict::Fine
    }

    fn bell(&self) -> &Bell {
        &self.bell
    }
}

impl Waiting {
    fn is_blocked(&self, now_us: u64) -> bool {
        let since_us = self.since_us.get();
        since_us != 0 && now_us.saturating_sub(since_us) >= self.most_us
    }
}

impl Taken {
    /// A part of the answer was handed over: it is the client's turn.
    pub fn handed_over(&self) {
        self.waiting.since_us.set(self.link.worker.now_us().max(1));
    }

    /// More is asked for: what was handed over is taken.
    pub fn asked(&self) {
        self.waiting.since_us.set(0);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut answers = self.link.answers.borrow_mut();
        if let Some(at) = answers.iter().position(|waiting| Rc::ptr_eq(waiting, &self.waiting)) {
            answers.swap_remove(at);
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Relaxed) == 1 {
            self.0.rests();
        }
    }
}
