//! Signals a container.
//!
//! Please stop: the signal that its image asks for, else SIGTERM, to its first process, which passes it on; that is what
//! programs in containers expect. SIGKILL ends all of its processes. Invariant: what goes out is a signal to one run's
//! container by its name, so it never reaches another run. Tests: `tests/it/driver`.

use bollard::query_parameters::KillContainerOptions;
use fogline_core::id::ReplicaId;

use super::super::{DriverError, Signal};
use super::exit::Stage;
use super::watch::{self, Seen};
use super::{Failure, Inner, Slot, container_name, look};

pub(super) async fn send(inner: &Inner, replica_id: ReplicaId, signal: Signal) -> Result<(), DriverError> {
    let run = match inner.slot(replica_id) {
        Some(Slot::Running { run, .. } | Slot::Held { run }) => run,
        // It may be waiting for its image, which nobody needs then.
        Some(Slot::Busy { run }) if inner.images.give_up(replica_id, run) => return Ok(()),
        Some(Slot::Busy { .. }) | None => return Err(DriverError::NotRunning(replica_id)),
    };
    let name = container_name(replica_id, run);
    let number = match signal {
        Signal::Terminate => stop_signal(inner, &name).await,
        Signal::Kill => "SIGKILL".to_owned(),
    };
    let sent = inner
        .engine
        .again("signalling the container", |docker| {
            let (name, options) = (name.clone(), KillContainerOptions { signal: number.clone() });
            async move { docker.kill_container(&name, Some(options)).await }
        })
        .await;
    match sent {
        Ok(()) => Ok(()),
        // It has ended meanwhile, which is told as an event. Engines say no to that in different ways.
        Err(source) => match source.failure {
            Failure::Refused { .. } if !still_runs(inner, replica_id, run).await => {
                inner.look.notify_one();
                Ok(())
            }
            _ => Err(DriverError::Engine { replica_id, source }),
        },
    }
}

async fn still_runs(inner: &Inner, replica_id: ReplicaId, run: u32) -> bool {
    let seen = watch::examine(inner, replica_id, run, 0).await;
    matches!(seen, Ok(Seen { stage: Some(Stage::Runs), .. }) | Err(_))
}

async fn stop_signal(inner: &Inner, name: &str) -> String {
    let asked = look::once_at(&inner.engine, name).await;
    let asked = asked.ok().and_then(|found| found.config.stop_signal).filter(|signal| !signal.is_empty());
    asked.unwrap_or_else(|| "SIGTERM".to_owned())
}
