//! Rounds: a few times a second a worker looks at everything that may wait too long, so that no request sets a timer.
//!
//! Invariant: whatever is in the rounds is looked at for as long as somebody else holds it.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

/// How far the rounds are apart at most: by so much anything may be late.
pub(super) const EVERY: Duration = Duration::from_millis(250);
/// And at least.
pub(super) const LEAST: Duration = Duration::from_millis(1);

/// What may wait too long.
pub(crate) trait Waits {
    fn is_due(&self, now_us: u64) -> bool;

    /// Rung once it is due.
    fn bell(&self) -> &Bell;
}

/// Wakes the task that listens. Rung from the beginning, so that it looks around once.
pub(crate) struct Bell {
    rung: Cell<bool>,
    listener: RefCell<Option<Waker>>,
}

/// Everything that one worker looks at.
#[derive(Default)]
pub(crate) struct Rounds(RefCell<Vec<Weak<dyn Waits>>>);

impl Default for Bell {
    fn default() -> Self {
        Self { rung: Cell::new(true), listener: RefCell::default() }
    }
}

impl Bell {
    /// Whether it was rung since the last time. This task is woken the next time.
    pub fn was_rung(&self, cx: &Context<'_>) -> bool {
        let mut listener = self.listener.borrow_mut();
        if !listener.as_ref().is_some_and(|listener| listener.will_wake(cx.waker())) {
            *listener = Some(cx.waker().clone());
        }
        self.rung.take()
    }

    /// Whatever it was rung for is over.
    pub fn hush(&self) {
        self.rung.set(false);
    }

    fn ring(&self) {
        self.rung.set(true);
        if let Some(listener) = &*self.listener.borrow() {
            listener.wake_by_ref();
        }
    }
}

impl Rounds {
    pub fn add(&self, waits: &Rc<impl Waits + 'static>) {
        let waits: Weak<dyn Waits> = Rc::downgrade(waits) as _;
        self.0.borrow_mut().push(waits);
    }

    /// `now_us` by the coarse clock, as everything that waits was begun by one that is not behind it.
    pub fn look(&self, now_us: u64) {
        self.0.borrow_mut().retain(|waits| {
            let waits = waits.upgrade();
            if let Some(waits) = waits.as_ref().filter(|waits| waits.is_due(now_us)) {
                waits.bell().ring();
            }
            waits.is_some()
        });
    }
}
