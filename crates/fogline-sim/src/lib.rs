//! The deterministic cluster: the real deciding code of server and agent, on a seeded clock, network and disk.
//!
//! Whatever goes wrong here goes wrong again with the same seed. See `docs/how-to/` for how to replay one.

mod agent;
mod bug;
mod machine;
mod network;
mod people;
mod queue;
mod rng;
mod scenario;
mod server;
mod simulation;
mod store;

pub use bug::Bug;
pub use network::{CALM, Network, ROUGH};
pub use rng::Rng;
pub use scenario::{Report, Scenario};
pub use simulation::Simulation;
