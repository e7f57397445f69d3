//! The drivers of an agent, as its settings say, and which runtimes they make its nodes offer.
//!
//! Decides nothing about replicas. A container engine that is there later is offered then; one that goes away stays
//! offered, because what runs in it is this agent's all the same, and a start that fails is tried elsewhere.

use std::net::{IpAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use fogline_core::record::Runtimes;
use fogline_core::spec::Runtime;
use tokio::sync::{mpsc, watch};
use tracing::info;

use super::AgentError;
use crate::config::AgentConfig;
use crate::driver::docker::Found;
use crate::driver::{DockerConfig, DockerDriver, DriverEvent, Drivers, ProcessConfig, ProcessDriver};

/// How long an agent that starts waits for a container engine that is slow to answer.
const ENGINE_WITHIN: Duration = Duration::from_secs(3);

/// The engine that has answered, where containers may be run at all.
pub(super) type Engine = Option<watch::Receiver<Option<Found>>>;

/// Prepares the drivers.
pub(super) async fn open(
    config: &AgentConfig,
    events: mpsc::Sender<DriverEvent>,
) -> Result<(Drivers, Engine), AgentError> {
    let failed = |source| AgentError::Driver { dir: config.data_dir.clone(), source };
    let settings = ProcessConfig {
        shim_program: config.shim_program.clone(),
        shim_args: config.shim_args.clone(),
        open_files: config.open_files,
        ..ProcessConfig::new(config.data_dir.clone(), config.base_env.clone())
    };
    let process = ProcessDriver::new(settings, events.clone()).map_err(failed)?;
    let docker = match docker(config).await {
        Some(settings) => {
            // Without entropy, the name of this agent is that of another that had none; names of replicas still differ.
            let fresh_id = getrandom::u64().unwrap_or(0);
            Some(DockerDriver::new(settings, fresh_id, events).map_err(failed)?)
        }
        None => None,
    };
    let mut engine = docker.as_ref().map(DockerDriver::engine);
    if let Some(engine) = &mut engine {
        let is_there = docker.as_ref().expect("an engine is a driver's").reach(ENGINE_WITHIN).await;
        engine.mark_unchanged();
        if !is_there {
            info!("no container engine answers yet; containers are offered when one does");
        }
    }
    let drivers = Drivers::new(process, docker);
    info!(limits = drivers.limits(), "replicas can be run");
    Ok((drivers, engine))
}

/// Containers are looked after even when they are switched off, where an earlier agent has left some.
async fn docker(config: &AgentConfig) -> Option<DockerConfig> {
    let left = DockerConfig::has_left_something(&config.data_dir);
    if config.engine_sockets.is_empty() && !left {
        return None;
    }
    let address = config.address.clone();
    let publish_at = tokio::task::spawn_blocking(move || of_this_machine(&address)).await.ok().flatten();
    Some(DockerConfig {
        publish_at,
        allowed_mounts: config.allowed_mounts.clone(),
        registry_auth: config.registry_auth.clone(),
        image_gc: config.image_gc,
        ..DockerConfig::new(config.data_dir.clone(), config.engine_sockets.clone())
    })
}

/// The address that others use, if it is one of this machine's own; behind a translated address, ports are published at
/// all of them.
fn of_this_machine(address: &str) -> Option<IpAddr> {
    let found = (address, 0).to_socket_addrs().ok()?.map(|found| found.ip());
    found.into_iter().find(|ip| UdpSocket::bind((*ip, 0)).is_ok())
}

/// What replicas can be run by.
pub(super) fn runtimes(engine: &Engine) -> Runtimes {
    let has_engine = engine.as_ref().is_some_and(|found| found.borrow().is_some());
    Runtimes::of(if has_engine { &[Runtime::Docker, Runtime::Process] } else { &[Runtime::Process] })
}

/// Until another engine has answered.
pub(super) async fn changed(engine: &mut Engine) {
    let has_changed = match engine {
        Some(found) => found.changed().await.is_ok(),
        None => false,
    };
    if has_changed {
        if let Some(found) = engine.as_ref().and_then(|found| found.borrow().clone()) {
            info!(engine = found.version, socket = %found.socket.display(), "a container engine answers");
        }
    } else {
        *engine = None;
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_published_where_others_come_if_that_is_here() {
        assert_eq!(of_this_machine("127.0.0.1"), Some(IpAddr::from([127, 0, 0, 1])));
        assert!(of_this_machine("localhost").is_some_and(|ip| ip.is_loopback()));
        // Reserved for documents: no machine has it.
        assert_eq!(of_this_machine("192.0.2.1"), None);
    }
}
