//! How a relay behaves just now, and the connections through it.
//!
//! Invariant: a connection whose ticket is older than the last `cut` moves nothing more. `end` returns when the thread of
//! every connection has ended.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::stream::Stream;

/// A connection, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

#[derive(Debug, Default)]
struct State {
    hangs: bool,
    last: u64,
    /// Both ends of each connection that may go on.
    alive: BTreeMap<Ticket, Vec<Stream>>,
    /// How many connections have a thread.
    threads: usize,
}

#[derive(Debug, Default)]
pub(super) struct Switch {
    state: Mutex<State>,
    changed: Condvar,
}

impl Switch {
    /// Admits a connection. Whoever calls this calls `leave` in the end.
    pub(super) fn admit(&self, client: &Stream) -> Ticket {
        let mut state = self.state();
        state.last += 1;
        state.threads += 1;
        let ticket = Ticket(state.last);
        state.alive.insert(ticket, client.copy().into_iter().collect());
        ticket
    }

    /// Adds the other end. False, and it is reset, where the connection was cut meanwhile.
    pub(super) fn join(&self, ticket: Ticket, server: &Stream) -> bool {
        let mut state = self.state();
        match state.alive.get_mut(&ticket) {
            Some(ends) => ends.extend(server.copy()),
            None => server.abort(),
        }
        state.alive.contains_key(&ticket)
    }

    /// The connection's thread is about to end.
    pub(super) fn leave(&self, ticket: Ticket) {
        let mut state = self.state();
        state.alive.remove(&ticket);
        state.threads -= 1;
        self.changed.notify_all();
    }

    /// Waits while nothing may flow. False where this connection must end.
    pub(super) fn wait_to_flow(&self, ticket: Ticket) -> bool {
        let held = |state: &mut State| state.hangs && state.alive.contains_key(&ticket);
        let state = self.changed.wait_while(self.state(), held).unwrap_or_else(PoisonError::into_inner);
        state.alive.contains_key(&ticket)
    }

    /// Waits until this connection is cut.
    pub(super) fn wait_for_cut(&self, ticket: Ticket) {
        let alive = |state: &mut State| state.alive.contains_key(&ticket);
        drop(self.changed.wait_while(self.state(), alive).unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn pass(&self) {
        self.state().hangs = false;
        self.changed.notify_all();
    }

    pub(super) fn hang(&self) {
        self.state().hangs = true;
    }

    /// Resets every connection.
    pub(super) fn cut(&self) {
        for ends in std::mem::take(&mut self.state().alive).into_values() {
            ends.iter().for_each(Stream::abort);
        }
        self.changed.notify_all();
    }

    /// Resets every connection and waits for their threads. The door is closed by then.
    pub(super) fn end(&self) {
        self.cut();
        let threads = |state: &mut State| state.threads > 0;
        drop(self.changed.wait_while(self.state(), threads).unwrap_or_else(PoisonError::into_inner));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
