//! The front door: takes requests for deployments, and passes each on to a replica that can take it.
//!
//! It is told where to send what ([`Front::apply`]) and tells what it saw ([`Front::report`]). Must never decide how many
//! replicas there are: where none is ready, requests wait, and a wake-up is sent. Invariants: every request ends once, with
//! an answer or a clear error; what waits is bounded in number, bytes and time, for each user too; a replica that leaves is
//! given nothing new. It goes on by its last table when no server is to be reached.

mod access_log;
mod balance;
mod clock;
mod config;
mod control;
mod disk;
mod forward;
mod front;
mod hold;
mod limits;
mod random;
mod router;
mod run;
mod serve;
mod service;
mod tcp;
mod tls;

pub use access_log::{AccessLog, AccessLogTarget};
pub use clock::Clock;
pub use config::ProxyConfig;
pub use forward::Network;
pub use front::{Event, Front};
pub use limits::{FrontLimits, Patience};
pub use run::{ProxyError, Running, start};
pub use serve::{Door, Entrance, Listener, Workers};
