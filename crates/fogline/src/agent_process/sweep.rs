//! Stops what an agent has left running, when `dev` ends and nothing shall be left.
//!
//! Must run only after the agent is gone: it takes its place at the driver.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fogline_agent::driver::{
    AdoptedState, DockerConfig, DockerDriver, DriverEvent, Drivers, ProcessConfig, ProcessDriver, Signal,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::exit::{Failure, Outcome};

/// How long replicas get in all, whatever grace they asked for; after that they are killed.
const LONGEST_GRACE: Duration = Duration::from_secs(10);
/// How long a killed one may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// Stops every replica that runs under `data`, containers by the first of `engines` that answers; says how many there
/// were.
///
/// # Errors
/// When some could not be stopped.
pub async fn stop_replicas(data: &Path, engines: Vec<PathBuf>) -> Outcome<usize> {
    let has_containers = DockerConfig::has_left_something(data);
    if !has_containers && !data.join("replicas").exists() {
        return Ok(0);
    }
    let failed = |error: std::io::Error| Failure::general("cannot look for replicas that still run").because(error);
    let (events, mut ends) = mpsc::channel(64);
    let config = ProcessConfig::new(data.to_owned(), BTreeMap::new());
    let process = ProcessDriver::new(config, events.clone()).map_err(failed)?;
    // The agent that made them has its name on disk, so no other one is needed.
    let docker = has_containers.then(|| DockerDriver::new(DockerConfig::new(data.to_owned(), engines), 0, events));
    let drivers = Drivers::new(process, docker.transpose().map_err(failed)?);
    let runs = |state: &AdoptedState| matches!(state, AdoptedState::Alive | AdoptedState::Held { .. });
    let alive: Vec<_> = drivers.adopt().await.into_iter().filter(|one| runs(&one.state)).map(|one| one.order).collect();
    let found = alive.len();
    let mut left: BTreeMap<_, _> = alive.iter().map(|order| (order.replica_id, order)).collect();
    let grace = alive.iter().map(|order| Duration::from_secs(order.template.grace_s.into())).max().unwrap_or_default();
    for (sent, within) in [(Signal::Terminate, grace.min(LONGEST_GRACE)), (Signal::Kill, KILLED_WITHIN)] {
        for id in left.keys() {
            // One that is gone meanwhile has an event on the way.
            if let Err(error) = drivers.signal(*id, sent).await {
                tracing::debug!(replica = %id, %error, "not signalled");
            }
        }
        let deadline = Instant::now() + within;
        while !left.is_empty() {
            match timeout_at(deadline, ends.recv()).await {
                Ok(Some(DriverEvent::Exited { replica_id, .. })) => drop(left.remove(&replica_id)),
                // One that could not be made out before: it is among those that were signalled.
                Ok(Some(DriverEvent::Adopted(_) | DriverEvent::Preparing { .. })) => {}
                Ok(None) | Err(_) => break,
            }
        }
    }
    if left.is_empty() {
        return Ok(found);
    }
    let ids: Vec<String> = left.keys().map(ToString::to_string).collect();
    Err(Failure::general("some replicas could not be stopped").because(ids.join("\n")))
}
