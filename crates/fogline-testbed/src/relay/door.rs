//! Where a relay's clients come in: a listener that can be closed and opened again in the same place.
//!
//! Invariant: when `close` returns a client is refused; when `open` returns one is accepted.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::net::Shutdown;

use super::stream::Stream;
use super::switch::{Switch, Ticket};
use crate::patience::wait_for;

/// What is done with a connection, on a thread of its own.
type Serve = dyn Fn(Stream, Ticket) + Send + Sync;

pub(super) struct Door {
    place: Place,
    serve: Arc<Serve>,
    switch: Arc<Switch>,
    open: Mutex<Option<(Arc<Listener>, JoinHandle<()>)>>,
}

#[derive(Debug)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Door {
    pub(super) fn tcp(
        address: SocketAddr,
        switch: &Arc<Switch>,
        serve: impl Fn(Stream, Ticket) + Send + Sync + 'static,
    ) -> Self {
        Self { place: Place::Tcp(address), serve: Arc::new(serve), switch: Arc::clone(switch), open: Mutex::new(None) }
    }

    pub(super) fn unix(
        path: PathBuf,
        switch: &Arc<Switch>,
        serve: impl Fn(Stream, Ticket) + Send + Sync + 'static,
    ) -> Self {
        Self { place: Place::Unix(path), serve: Arc::new(serve), switch: Arc::clone(switch), open: Mutex::new(None) }
    }

    /// Accepts from now on. Nothing where it does.
    ///
    /// # Panics
    /// When another program has taken the place.
    pub(super) fn open(&self) {
        let mut open = self.listening();
        if open.is_some() {
            return;
        }
        let listener = Arc::new(wait_for("the place of a relay to be free", || self.listen().ok()));
        let (serve, switch) = (Arc::clone(&self.serve), Arc::clone(&self.switch));
        let accepting = Arc::clone(&listener);
        let thread = std::thread::spawn(move || {
            while let Ok(client) = accepting.accept() {
                let ticket = switch.admit(&client);
                let (serve, switch) = (Arc::clone(&serve), Arc::clone(&switch));
                std::thread::spawn(move || {
                    serve(client, ticket);
                    switch.leave(ticket);
                });
            }
        });
        *open = Some((listener, thread));
    }

    /// Refuses from now on. Nothing where it does.
    pub(super) fn close(&self) {
        let Some((listener, thread)) = self.listening().take() else { return };
        // Wakes the one who accepts, with an error.
        rustix::net::shutdown(&*listener, Shutdown::Both).expect("a listener can be shut");
        thread.join().expect("accepting does not panic");
    }

    fn listen(&self) -> io::Result<Listener> {
        match &self.place {
            Place::Tcp(address) => TcpListener::bind(address).map(Listener::Tcp),
            Place::Unix(path) => {
                // What an earlier listener left: whoever connects to it meanwhile is refused.
                let _ = fs::remove_file(path);
                UnixListener::bind(path).map(Listener::Unix)
            }
        }
    }

    fn listening(&self) -> MutexGuard<'_, Option<(Arc<Listener>, JoinHandle<()>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    fn accept(&self) -> io::Result<Stream> {
        loop {
            let accepted = match self {
                Self::Tcp(listener) => listener.accept().map(|(stream, _)| Stream::Tcp(stream)),
                Self::Unix(listener) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
            };
            match accepted {
                // The client has gone again.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                other => return other,
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Door").field("place", &self.place).finish_non_exhaustive()
    }
}
