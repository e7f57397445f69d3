//! The scaling engine: how many replicas a target should have, and why.
//!
//! One arbiter a target: strategies vote ([`vote`]), the arbiter's steps make one count of the votes, and the
//! [`Decision`] says how. [`evaluate`] is the only way in, for live evaluation, dry-run, shadow and [`backtest`] alike.
//! Must never ask for the time, a metric or a count: all are given. Invariants: the count never leaves the bounds; it
//! never goes down without data unless a policy declares so; a restart changes no decision but its time. Tests:
//! `tests/it/scaling/`.

mod arbiter;
mod evaluate;
mod strategy;

pub mod backtest;
pub mod decision;
pub mod forecast;
pub mod inputs;
pub mod policy;
pub mod sample;
pub mod state;
pub mod vote;
pub mod window;

pub use decision::Decision;
pub use evaluate::{evaluate, metrics};
pub use inputs::Inputs;
pub use policy::{Policy, PolicySpec};
pub use state::State;
pub use strategy::{LoadScore, Transition, TransitionKind, preview, shown};
