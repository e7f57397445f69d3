//! Ports whose connections are passed on as they are: opened and closed as routes come and go.
//!
//! A port that cannot be opened is said and tried again; the others are served meanwhile. Must never open a port that is not
//! for routes, whatever the table says: it may be about to be another program's. Invariants: a connection counts
//! as one request, waits, wakes and is refused as one does, and holds its replica until both sides have ended it; closing
//! a port ends no connection. The replica sees the proxy's address, because nothing is put into what clients send. Tests:
//! `tests/it/tcp.rs`.

mod connection;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::serve::Door;
use connection::Connection;

/// When a port that could not be opened is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How long nothing is accepted where the machine has no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all TCP ports share.
#[derive(Debug)]
pub struct TcpPorts {
    /// Where to, and how many connections there is room for.
    pub door: Arc<Door>,
    /// The addresses that every port is opened on.
    pub addresses: Vec<IpAddr>,
    /// The ports that may be opened.
    pub range: RangeInclusive<u16>,
    /// Of those, the ports that may not.
    pub taken: Vec<RangeInclusive<u16>>,
    /// Keeps count of what is open, for those who wait until it is over.
    pub connections: TaskTracker,
    /// Ends what is open.
    pub cut: CancellationToken,
}

impl TcpPorts {
    /// Keeps the ports of the present table open until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let shared = Arc::new(self);
        let mut ports = shared.door.front.tcp_ports();
        let mut open: BTreeMap<SocketAddr, DropGuard> = BTreeMap::new();
        let mut said: BTreeMap<SocketAddr, String> = BTreeMap::new();
        let mut refused = BTreeSet::new();
        loop {
            let claimed = ports.borrow_and_update().clone();
            let (wanted, others): (BTreeSet<u16>, BTreeSet<u16>) =
                claimed.into_iter().partition(|port| shared.may_open(*port));
            for port in others.difference(&refused) {
                let range = &shared.range;
                warn!(port, ?range, "a route's port is not opened here: it is outside of the range, or taken");
            }
            refused = others;
            open.retain(|address, _| wanted.contains(&address.port()));
            said.retain(|address, _| wanted.contains(&address.port()));
            for address in shared.on_all_addresses(&wanted) {
                if open.contains_key(&address) {
                    continue;
                }
                match TcpListener::bind(address).await {
                    Ok(listener) => {
                        info!(%address, "connections are taken");
                        said.remove(&address);
                        let closing = shutdown.child_token();
                        tokio::spawn(Arc::clone(&shared).accept(listener, address.port(), closing.clone()));
                        open.insert(address, closing.drop_guard());
                    }
                    Err(error) => say(&mut said, address, &error),
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = ports.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep(TRY_AGAIN_AFTER), if !said.is_empty() => {}
            }
        }
    }

    fn may_open(&self, port: u16) -> bool {
        self.range.contains(&port) && !self.taken.iter().any(|taken| taken.contains(&port))
    }

    fn on_all_addresses(&self, ports: &BTreeSet<u16>) -> Vec<SocketAddr> {
        ports.iter().flat_map(|port| self.addresses.iter().map(|ip| SocketAddr::new(*ip, *port))).collect()
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, port: u16, closing: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = closing.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((client, address)) => {
                    let (Some(service), Some(room)) =
                        (self.door.front.tcp_service(port), self.door.enter(address.ip()))
                    else {
                        continue;
                    };
                    let connection = Connection::new(client, address, service, self.door.log.clone());
                    let cut = self.cut.clone();
                    self.connections.spawn(async move {
                        cut.run_until_cancelled(connection.serve()).await;
                        drop(room);
                    });
                }
                Err(error) => {
                    debug!(port, %error, "no connection was accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn say(said: &mut BTreeMap<SocketAddr, String>, address: SocketAddr, error: &io::Error) {
    let why = error.to_string();
    if said.get(&address) != Some(&why) {
        warn!(%address, why, "a route's port cannot be opened; it is tried again");
    }
    said.insert(address, why);
}
