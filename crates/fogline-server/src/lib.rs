//! The control plane: the writer, the HTTP API, the endpoint of agents and proxies.
//!
//! Decides nothing about the cluster itself: that is `fogline-core`. Here is what surrounds it, so that a decision is
//! durable before anybody hears of it. Must never touch Docker or a process: that is the agents' part.

mod agents;
mod attach;
pub mod auth;
mod bootstrap;
mod clock;
mod config;
mod events;
pub mod http;
mod http_listener;
mod leadership;
mod presence;
mod proxies;
mod scaling;
mod serve;
mod state;
mod telemetry;
mod writer;

pub use agents::{LogError, LogStream, Logs};
pub use bootstrap::SecretFileError;
pub use clock::Clock;
pub use config::ServerConfig;
pub use leadership::keys_fingerprint;
pub use presence::{NodePresence, Presence, ReplicaPresence};
pub use serve::{Running, ServeError, serve, start};
pub use state::Shared;
pub use telemetry::Telemetry;
pub use writer::{Committed, WriteError, Writer};
