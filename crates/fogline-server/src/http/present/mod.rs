//! Rows and what was observed, as the wire has them. Never a hash, a key or a token.

mod decisions;
mod deployment;
mod node;
mod policy;
mod replica;
mod user;

pub use decisions::decisions;
pub use deployment::{detail, health_of, last_reason, live_replicas, summaries};
pub use node::nodes;
pub use policy::{policies, policy};
pub use replica::replica;
pub use user::user;
