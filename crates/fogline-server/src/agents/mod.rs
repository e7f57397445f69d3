//! Where agents attach: one stream each, over which they learn what to run and tell what they see.
//!
//! Decides nothing about the cluster. Invariant: an agent is told only what is durable, an observation is acknowledged
//! only once it is durable, and a slow agent holds the latest list of each of its nodes in memory, never a queue of them.
//! [`service`] lets agents in, [`session`] talks to one, [`registry`] knows who presents which node, [`logs`] relays, within
//! what [`log_budget`] allows.
//! Tests: in the files, and `tests/it/agents.rs`.

mod authority;
mod exec;
mod log_budget;
mod logs;
mod mailbox;
mod observations;
mod registry;
mod service;
mod session;
mod unlisted;

pub use exec::{Commands, ExecError};
pub use logs::{LogError, LogStream, Logs};

pub(crate) use registry::Registry;
pub(crate) use service::{AgentsConfig, AgentsDoor};
