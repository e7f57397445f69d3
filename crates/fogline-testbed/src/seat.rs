//! Where a server sits that a test stops, kills and starts again: a port that stays its own, with or without a process on it.
//!
//! Invariant: there is at most one process, and it ends with the seat.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal};

use crate::child::Server;
use crate::patience::wait_for;
use crate::port;

/// How often a new one tries another port because somebody took the one that was free.
const TRIES: usize = 10;

/// The place of one server on loopback.
#[derive(Debug)]
pub(crate) struct Seat {
    /// Of what, for messages.
    name: &'static str,
    port: AtomicU16,
    server: Mutex<Option<Server>>,
}

impl Seat {
    pub(crate) const fn of(name: &'static str) -> Self {
        Self { name, port: AtomicU16::new(0), server: Mutex::new(None) }
    }

    /// Where the server listens, or listened before it was stopped.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port.load(Ordering::Relaxed)))
    }

    /// The server's process, where there is one.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.server().as_ref().map(Server::pid)
    }

    /// Starts the server for the first time. `launch` starts it at [`Seat::address`], or tells what it said instead.
    pub(crate) fn open(&self, launch: impl Fn() -> Result<Server, String>) {
        for _ in 0..TRIES {
            self.port.store(port::spare().port(), Ordering::Relaxed);
            match launch() {
                Ok(server) => {
                    *self.server() = Some(server);
                    return;
                }
                Err(said) if said.to_lowercase().contains("address already in use") => {}
                Err(said) => panic!("{} did not start:\n{said}", self.name),
            }
        }
        panic!("{} found {TRIES} ports taken", self.name);
    }

    /// Ends it. Nothing where it has ended.
    pub(crate) fn end(&self, signal: Signal) {
        if let Some(mut server) = self.server().take() {
            server.end(signal);
        }
    }

    /// Starts it again, on the same address. Its port may take a moment to be free.
    pub(crate) fn open_again(&self, launch: impl Fn() -> Result<Server, String>) {
        self.end(Signal::TERM);
        let started = wait_for(&format!("{} to start again", self.name), || launch().ok());
        *self.server() = Some(started);
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        // A panic while it was held was one of waiting in vain, after which it can still be ended.
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
