//! What will happen, by time. Events of one instant happen in the order in which they were foreseen.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// The future.
#[derive(Debug)]
pub struct Queue<E> {
    order: BinaryHeap<Reverse<(u64, u64)>>,
    events: HashMap<u64, E>,
    next: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { order: BinaryHeap::new(), events: HashMap::new(), next: 0 }
    }
}

impl<E> Queue<E> {
    /// Foresees an event.
    pub fn push(&mut self, at_us: u64, event: E) {
        self.order.push(Reverse((at_us, self.next)));
        self.events.insert(self.next, event);
        self.next += 1;
    }

    /// The next event and its time.
    pub fn pop(&mut self) -> Option<(u64, E)> {
        let Reverse((at_us, number)) = self.order.pop()?;
        Some((at_us, self.events.remove(&number)?))
    }
}
