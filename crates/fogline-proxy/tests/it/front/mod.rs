//! The data plane by itself: a front that is told its table by the test, workers, and replicas of the test's own.

mod balancing;
mod bodies;
mod connections;
mod draining;
mod holding;
mod passing;
mod protocols;
mod retries;
pub mod stage;
