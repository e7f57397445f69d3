//! A network between two programs, on loopback, that a test breaks: one for TCP, one for an HTTP API on a Unix socket.
//!
//! `switch` holds how it behaves, `stream` moves bytes, `unix` reads requests. Invariant: when `cut` returns no connection
//! through it is alive and none can be made; what flows is never changed, only delayed or ended. Tests: `tests/it/relay.rs`.

mod door;
mod stream;
mod switch;
mod unix;

use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use door::Door;
use stream::{Stream, exchange};
use switch::Switch;
pub use unix::{Deed, Request, UnixRelay};

use crate::port;

/// A TCP relay on loopback, in the network of the thread that made it. Passes at first. Gone when dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    upstream: Arc<Mutex<SocketAddr>>,
    switch: Arc<Switch>,
    door: Door,
}

impl Relay {
    /// One that leads to `upstream`, where nobody need listen yet.
    #[must_use]
    pub fn to(upstream: SocketAddr) -> Self {
        let address = port::spare();
        let switch = Arc::new(Switch::default());
        let upstream = Arc::new(Mutex::new(upstream));
        let (target, shared) = (Arc::clone(&upstream), Arc::clone(&switch));
        let door = Door::tcp(address, &switch, move |client, ticket| {
            // Where it leads is decided when it flows, not when the client came.
            if !shared.wait_to_flow(ticket) {
                return client.abort();
            }
            let target = *target.lock().unwrap_or_else(PoisonError::into_inner);
            match TcpStream::connect(target) {
                Ok(server) => exchange(&client, &Stream::Tcp(server), &shared, ticket),
                Err(_) => client.abort(),
            }
        });
        door.open();
        Self { address, upstream, switch, door }
    }

    /// Where clients connect; the same for as long as it is there.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Everything flows, also what was held back.
    pub fn pass(&self) {
        self.switch.pass();
        self.door.open();
    }

    /// Connections stay open and new ones are accepted, but nothing flows either way until `pass` or `cut`.
    pub fn hang(&self) {
        self.switch.hang();
        self.door.open();
    }

    /// Connections are reset on both sides, and new ones refused.
    pub fn cut(&self) {
        self.door.close();
        self.switch.cut();
    }

    /// New connections lead to `upstream`; those that are open are reset. Passes or hangs as before.
    pub fn redirect(&self, upstream: SocketAddr) {
        *self.upstream.lock().unwrap_or_else(PoisonError::into_inner) = upstream;
        self.switch.cut();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.door.close();
        self.switch.end();
    }
}
