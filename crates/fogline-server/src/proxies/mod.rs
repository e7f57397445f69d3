//! Where proxies attach: one stream each, over which they learn the table of routes and tell what requests there are.
//!
//! Decides nothing about the cluster: draining and waking are core's. Invariant: a proxy is told only what is durable, and
//! holds the latest word on each service in memory here however slow it is; what a proxy says is bounded by what is routed,
//! however much it says. [`service`] lets proxies in, [`session`] talks to one, [`registry`] knows who is attached, [`wakes`]
//! has sleeping deployments woken, [`figures`] makes figures of what is told. Tests: in the files, `tests/it/proxies`.

mod figures;
mod mailbox;
mod registry;
mod service;
mod session;
mod wakes;

pub(crate) use figures::{Detail, Figures, LoadPoint, Measure, ReplicaLoad};
pub(crate) use registry::Registry;
pub(crate) use service::{ProxiesConfig, ProxiesDoor};
