//! Host names into addresses: the only thing that asks the system's resolver.
//!
//! The system's call blocks a thread for as long as its name servers are silent, whatever deadline the caller has.
//! Invariant: at most [`MOST_LOOKUPS`] threads hang there, so that silent name servers do not take the program's threads.

use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// How many names are looked up at the same time.
const MOST_LOOKUPS: usize = 16;

/// The addresses of a name, later.
pub type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Whoever knows the addresses of names. Tests have their own, which changes its mind.
pub trait Names: Send + Sync {
    /// The addresses of `host`, which is no address itself.
    fn lookup(&self, host: &str) -> Lookup;
}

/// The resolver of the machine.
#[derive(Clone, Debug)]
pub struct SystemNames {
    room: Arc<Semaphore>,
}

impl Default for SystemNames {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(MOST_LOOKUPS)) }
    }
}

impl Names for SystemNames {
    fn lookup(&self, host: &str) -> Lookup {
        let (host, room) = (host.to_owned(), Arc::clone(&self.room));
        Box::pin(async move {
            let place = room.acquire_owned().await.map_err(io::Error::other)?;
            let looking = tokio::task::spawn_blocking(move || {
                // Held by the thread, not by the caller, who may have given up.
                let _place = place;
                (host.as_str(), 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect())
            });
            looking.await.map_err(io::Error::other)?
        })
    }
}
