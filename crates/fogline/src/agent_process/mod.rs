//! The agent as a process of this machine: what it presents, who holds its directory, and how `dev` keeps one running.
//!
//! Invariant: at most one agent runs on a directory, whoever started it; the lock tells, never a remembered pid.

mod child;
mod lock;
mod node_flag;
mod sweep;

pub use child::{Keeper, KeeperConfig};
pub use lock::Holder;
pub use node_flag::{NodeFlag, host_name};
pub use sweep::stop_replicas;
