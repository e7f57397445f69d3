//! Workers: threads that take connections and answer what comes over them, each by itself.
//!
//! One thread a core, each with its own runtime, its own connections to replicas and no lock that another takes on the way
//! of a request. Must never outlive the order to stop by more than [`GRACE`]. Tests: `tests/it/front`.

mod connection;
mod door;
mod io;
mod link;
mod rounds;
mod worker;

use std::time::Duration;

pub use door::{Door, Entrance, Listener};
pub use worker::Workers;

pub(crate) use connection::WINDOW_BYTES;
pub(crate) use link::{InHand, Link, Taken};
pub(crate) use rounds::{Bell, Waits};
pub(crate) use worker::{Local, Worker};

/// How long open requests may take to finish once the proxy is told to stop.
pub const GRACE: Duration = Duration::from_secs(10);
