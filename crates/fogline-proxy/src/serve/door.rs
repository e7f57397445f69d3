//! What all workers are started with, and the sockets they take connections from.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;

use crate::access_log::AccessLog;
use crate::forward::Network;
use crate::front::Front;
use crate::limits::Patience;

/// One client may have so large a part of all connections, and at least [`LEAST_OF_ONE`].
const PART_OF_ONE: usize = 8;
const LEAST_OF_ONE: usize = 64;

/// What all workers share beside the table.
#[derive(Debug)]
pub struct Door {
    pub(crate) front: Arc<Front>,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) log: Option<AccessLog>,
    pub(super) patience: Patience,
    most_connections: usize,
    connections: AtomicUsize,
    /// Connections by client. Touched when one begins and ends, and never by a request.
    by_client: Mutex<HashMap<IpAddr, usize>>,
}

impl Door {
    /// `most_connections` are open at a time, an eighth of them from one client; one more is closed at once.
    #[must_use]
    pub fn new(
        front: Arc<Front>,
        trusted_proxies: Vec<Network>,
        log: Option<AccessLog>,
        most_connections: usize,
        patience: Patience,
    ) -> Arc<Self> {
        let (connections, by_client) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { front, trusted_proxies, log, patience, most_connections, connections, by_client })
    }

    /// How many connections may be open.
    pub(super) fn most_connections(&self) -> usize {
        self.most_connections
    }

    /// Room for one more connection from this peer, until it is dropped; nothing where there is none.
    #[must_use]
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Entered> {
        let mut entered = Entered { door: Arc::clone(self), client: None };
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        if before >= self.most_connections {
            return None;
        }
        let Some(client) = self.client_of(peer) else { return Some(entered) };
        let mut by_client = self.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_client.entry(client).or_default();
        if *count >= (self.most_connections / PART_OF_ONE).max(LEAST_OF_ONE) {
            return None;
        }
        *count += 1;
        entered.client = Some(client);
        Some(entered)
    }

    /// Whom a connection is counted with; nothing where the peer speaks for many, or is this machine.
    fn client_of(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if peer.is_loopback() || self.trusted_proxies.iter().any(|network| network.contains(peer)) {
            return None;
        }
        Some(match peer {
            IpAddr::V4(_) => peer,
            // Whoever has one address of such a network has them all.
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        })
    }
}

/// A connection's place among those that may be open.
#[derive(Debug)]
pub struct Entered {
    door: Arc<Door>,
    client: Option<IpAddr>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.door.connections.fetch_sub(1, Ordering::Relaxed);
        let Some(client) = self.client else { return };
        let mut by_client = self.door.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                by_client.remove(&client);
            }
        }
    }
}

/// What is spoken on a socket.
#[derive(Clone, Debug)]
pub enum Entrance {
    /// HTTP.
    Plain,
    /// HTTPS, with certificates that may change behind this.
    Tls(Arc<ServerConfig>),
}

/// A bound socket that all workers take connections from.
#[derive(Debug)]
pub struct Listener {
    /// Bound and listening.
    pub socket: TcpListener,
    /// What is spoken on it.
    pub entrance: Entrance,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::limits::FrontLimits;

    #[test]
    fn one_client_takes_an_eighth_of_the_connections_and_gets_back_what_it_gives_back() {
        let (front, _events) = Front::new(FrontLimits::default(), Clock::system());
        let trusted = vec!["192.0.2.0/24".parse().expect("a network")];
        let door = Door::new(front, trusted, None, 800, Patience::default());
        let enter = |peer: &str| door.enter(peer.parse().expect("an address"));
        let many = |peer: &str| (0..200).map_while(|_| enter(peer)).collect::<Vec<_>>();
        let one = many("203.0.113.1");
        assert_eq!((one.len(), many("203.0.113.2").len()), (100, 100));
        let network = many("2001:db8::1");
        assert!(network.len() == 100 && enter("2001:db8::2").is_none() && enter("2001:db8:0:1::2").is_some());
        assert_eq!((many("192.0.2.7").len(), many("127.0.0.1").len()), (200, 200), "these speak for many");
        drop(one);
        assert!(enter("::ffff:203.0.113.1").is_some());
        drop(network);
        assert!(door.by_client.lock().expect("no panic").is_empty());
        assert_eq!(door.connections.load(Ordering::Relaxed), 0);
    }
}
