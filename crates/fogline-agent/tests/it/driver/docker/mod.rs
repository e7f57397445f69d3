//! What only the `docker` driver does: how containers are closed off, and an engine that fails.

mod closed;
mod engine_away;
mod images;
mod lost_answers;
mod mounts;
mod ports;
mod reading;

use std::future::Future;

use super::contract::{Kind, Rig};

/// Plays a test with containers.
fn play<F: Future<Output = ()>>(test: impl FnOnce(Rig) -> F) {
    super::contract::play(Kind::Docker, test);
}
