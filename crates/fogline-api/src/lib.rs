//! What crosses a network: the wire types of the HTTP API and of the protocols of agents and proxies, problem details, and the client.
//!
//! Must never reach SQL or anything of the server's inside.

pub mod attach;
pub mod client;
pub mod http;
pub mod protocol;
pub mod readiness;
