//! What takes time and must not hold the agent up: starts, signals, probes, measuring. Each tells its result as an
//! [`Event`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::observation::{NodeUsage, ReplicaUsage};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::Event;
use crate::driver::{Drivers, Signal, StartOrder};
use crate::host::Sampler;
use crate::probe;
use crate::supervisor::{Input, ProbeOrder};

/// How busy everything is.
#[derive(Debug)]
pub(super) struct Load {
    /// For whom it was asked.
    pub nodes: Vec<(Arc<str>, NodeId)>,
    /// The machine, where it could be measured.
    pub machine: Option<NodeUsage>,
    /// Every replica of this agent.
    pub replicas: Vec<ReplicaUsage>,
}

/// Tries the port, then starts.
pub(super) fn start(driver: &Drivers, order: StartOrder, events: &mpsc::Sender<Event>) {
    let (driver, events) = (driver.clone(), events.clone());
    tokio::spawn(async move {
        let (replica_id, run) = (order.replica_id, order.run);
        let input = match order.port {
            Some(port) if probe::port_is_taken(port) => {
                info!(%replica_id, port, "another program has the port");
                Input::PortTaken { replica_id, run, port }
            }
            _ => match driver.start(order).await {
                Ok(started) => Input::Started { replica_id, run, started },
                Err(error) => {
                    warn!(%replica_id, run, %error, "not started");
                    Input::StartFailed { replica_id, run, error }
                }
            },
        };
        let _ = events.send(Event::Supervisor(input)).await;
    });
}

/// Signals. That it has worked is seen by the replica's end; that it has not, too: the supervisor repeats itself.
pub(super) fn signal(driver: &Drivers, replica_id: ReplicaId, signal: Signal) {
    let driver = driver.clone();
    tokio::spawn(async move {
        if let Err(error) = driver.signal(replica_id, signal).await {
            warn!(%error, ?signal, "not signalled");
        }
    });
}

/// Asks a replica.
pub(super) fn probe(address: &str, order: ProbeOrder, events: &mpsc::Sender<Event>) {
    let (address, events) = (address.to_owned(), events.clone());
    tokio::spawn(async move {
        let ProbeOrder { replica_id, run, number, target, timeout_us } = order;
        let result = probe::ask(&address, &target, Duration::from_micros(timeout_us)).await;
        let _ = events.send(Event::Supervisor(Input::Probed { replica_id, run, number, result })).await;
    });
}

/// Measures.
pub(super) fn measure(
    driver: &Drivers,
    sampler: &Arc<Mutex<Sampler>>,
    nodes: Vec<(Arc<str>, NodeId)>,
    events: &mpsc::Sender<Event>,
) {
    let (driver, sampler, events) = (driver.clone(), Arc::clone(sampler), events.clone());
    tokio::spawn(async move {
        let measured = tokio::task::spawn_blocking(move || {
            let machine = sampler.lock().unwrap_or_else(PoisonError::into_inner).sample();
            let machine = machine.inspect_err(|error| warn!(error, "the machine's load is unknown")).ok();
            Load { nodes, machine, replicas: driver.usage() }
        });
        if let Ok(load) = measured.await {
            let _ = events.send(Event::Load(load)).await;
        }
    });
}
