//! What crosses a network: the wire types of the HTTP API and of the agent protocol, problem details, and the client.
//!
//! Must never reach SQL or anything of the server's inside.

pub mod client;
pub mod http;
pub mod protocol;
