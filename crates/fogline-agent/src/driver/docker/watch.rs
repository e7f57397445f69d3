//! Watches containers: hears the engine's events, and compares what it says with what is known.
//!
//! Invariant: one end a run, told by whoever takes its slot away. An event is only a reason to look, and a stream of events
//! that breaks begins with a look at everything, so nothing that happened in between is missed or told twice. Must never
//! take silence for an end: an engine that does not answer changes nothing. Must never keep the driver alive. Tests:
//! `tests/it/driver`.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::{EventsOptions, RemoveContainerOptions};
use fogline_core::id::ReplicaId;
use tokio_stream::StreamExt;

use super::super::{Adopted, AdoptedState, DriverEvent, Exit, ExitCause, StartError};
use super::exit::{self, Stage};
use super::look::{self, Listed, Phase};
use super::record::{Record, Recorded};
use super::{EngineError, Inner, Slot, blocking, container_name, labels, sweep};

/// How often an engine that was lost is looked for.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often it is looked at where something is held.
const HELD: Duration = Duration::from_secs(1);

/// What the engine says of a run's container.
pub(super) struct Seen {
    pub container: Option<String>,
    /// Nothing: there is no such container.
    pub stage: Option<Stage>,
}

/// Looks a run's container up by its name.
pub(super) async fn examine(
    inner: &Inner,
    replica_id: ReplicaId,
    run: u32,
    memory_mb: u32,
) -> Result<Seen, EngineError> {
    match look::at(&inner.engine, &container_name(replica_id, run)).await {
        Ok(found) => Ok(Seen { container: Some(found.id), stage: Some(exit::stage(&found.state, memory_mb)) }),
        Err(error) if error.is_missing() => Ok(Seen { container: None, stage: None }),
        Err(error) => Err(error),
    }
}

/// Everything that this agent has made and the engine still has.
pub(super) async fn list(inner: &Inner) -> Result<Vec<Listed>, EngineError> {
    look::of_agent(&inner.engine, &inner.agent_id).await
}

pub(super) fn spawn(inner: &Arc<Inner>) {
    let stop = inner.stop.clone();
    let inner = Arc::downgrade(inner);
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = watch(&inner) => {}
        }
    });
}

async fn watch(weak: &Weak<Inner>) {
    let mut pause = FIRST_PAUSE;
    let mut is_told = false;
    loop {
        let Some(inner) = weak.upgrade() else { return };
        match follow(inner).await {
            Ok(()) => (pause, is_told) = (FIRST_PAUSE, false),
            Err(error) if is_told => tracing::debug!(%error, "no container engine"),
            Err(error) => {
                tracing::info!(%error, "no container engine answers; it is looked for from now on");
                is_told = true;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Until the stream of events ends. Whatever is looked at is looked at after the stream was opened.
async fn follow(inner: Arc<Inner>) -> Result<(), EngineError> {
    let docker = inner.engine.client().await?;
    let mut filters = labels::filter(&inner.agent_id);
    filters.insert("type".to_owned(), vec!["container".to_owned()]);
    let mut events = docker.events(Some(EventsOptions { filters: Some(filters), ..EventsOptions::default() }));
    // A stream is opened when it is first asked: its first event, or the time that passes, says that it is open.
    let mut first = true;
    loop {
        let has_held = inner.runs().values().any(|slot| matches!(slot, Slot::Held { .. }));
        let pause = match (first, has_held) {
            (true, _) => Duration::from_millis(50),
            (_, true) => HELD.min(inner.config.look_every),
            _ => inner.config.look_every,
        };
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => on_event(&inner, &event),
                Some(Err(error)) => {
                    inner.engine.forget_client();
                    return Err(EngineError::of("hearing the engine's events", &error));
                }
                None => {
                    inner.engine.forget_client();
                    return Ok(());
                }
            },
            () = inner.look.notified() => look(&inner).await?,
            () = tokio::time::sleep(pause) => {
                first = false;
                look(&inner).await?;
            }
        }
    }
}

fn on_event(inner: &Arc<Inner>, event: &EventMessage) {
    if !matches!(event.action.as_deref(), Some("die" | "died" | "destroy" | "remove" | "start" | "oom")) {
        return;
    }
    let attributes = event.actor.as_ref().and_then(|actor| actor.attributes.as_ref());
    let Some((replica_id, run)) = attributes.and_then(|labels| labels::run_of(&inner.agent_id, labels)) else { return };
    let inner = Arc::clone(inner);
    // Beside the stream, which must not wait for an engine that is slow to answer.
    tokio::spawn(async move {
        if inner.slot(replica_id).is_some_and(|slot| slot.run() == run) {
            settle(&inner, replica_id).await;
        }
    });
}

/// Compares everything. An engine that does not answer ends the stream, and is looked for anew.
async fn look(inner: &Arc<Inner>) -> Result<(), EngineError> {
    let listed = list(inner).await?;
    let running: HashMap<(ReplicaId, u32), bool> = listed
        .iter()
        .filter_map(|one| {
            let run = labels::run_of(&inner.agent_id, one.labels.as_ref()?)?;
            Some((run, one.state == Phase::Runs))
        })
        .collect();
    let slots: Vec<(ReplicaId, Slot)> = inner.runs().iter().map(|(id, slot)| (*id, slot.clone())).collect();
    for (replica_id, slot) in slots {
        let is_as_known = matches!(slot, Slot::Running { .. }) && running.get(&(replica_id, slot.run())) == Some(&true);
        if !is_as_known {
            settle(inner, replica_id).await;
        }
    }
    if inner.adopted.load(Ordering::Acquire) {
        sweep::sweep(inner, &listed).await;
    }
    Ok(())
}

/// Looks at one replica, and tells what has become of it.
async fn settle(inner: &Arc<Inner>, replica_id: ReplicaId) {
    let Some(slot) = inner.slot(replica_id) else { return };
    if matches!(slot, Slot::Busy { .. }) {
        return;
    }
    let run = slot.run();
    let record = inner.record(replica_id).whole().filter(|record| record.start.run == run);
    let memory_mb = record.as_ref().map_or(0, |record| record.start.template.resources.memory_mb);
    let seen = match examine(inner, replica_id, run, memory_mb).await {
        Ok(seen) => seen,
        Err(error) => {
            tracing::debug!(%replica_id, %error, "not known whether it runs");
            return;
        }
    };
    let is_held = matches!(slot, Slot::Held { .. });
    let exit = match seen.stage {
        Some(Stage::Runs) => {
            if let (true, Some(record), Some(container)) = (is_held, record, seen.container) {
                made_out(inner, record, container).await;
            }
            return;
        }
        Some(Stage::Ended(exit)) => exit,
        // Nobody may start it later, so it is removed before that is said.
        Some(Stage::Made) => {
            if !remove_made(inner, replica_id, run).await {
                return;
            }
            never_started()
        }
        None if is_held && record.as_ref().is_none_or(|record| record.container.is_none()) => never_started(),
        None => exit::removed(),
    };
    ended(inner, replica_id, run, record, exit).await;
}

/// Whether it is gone without having run.
async fn remove_made(inner: &Inner, replica_id: ReplicaId, run: u32) -> bool {
    let name = container_name(replica_id, run);
    let options = RemoveContainerOptions { v: true, force: false, link: false };
    let removed = inner
        .engine
        .once("removing the container", |docker| async move { docker.remove_container(&name, Some(options)).await })
        .await;
    // Where it runs after all, the engine refuses, and the next look finds it.
    removed.is_ok()
}

fn never_started() -> Exit {
    let error = StartError::Interrupted;
    Exit { code: None, message: error.to_string(), cause: ExitCause::NotStarted(error) }
}

async fn made_out(inner: &Arc<Inner>, record: Record, container: String) {
    let (replica_id, run) = (record.start.replica_id, record.start.run);
    {
        let mut runs = inner.runs();
        if runs.get(&replica_id) != Some(&Slot::Held { run }) {
            return;
        }
        runs.insert(replica_id, Slot::Running { run, container: container.clone() });
    }
    keep(inner, Record { container: Some(container.clone()), ..record.clone() }).await;
    tracing::info!(%replica_id, "a container that could not be made out runs, and is adopted");
    let adopted = Adopted { order: record.start, container_id: Some(container), state: AdoptedState::Alive };
    drop(inner.events.send(DriverEvent::Adopted(Box::new(adopted))).await);
}

async fn ended(inner: &Arc<Inner>, replica_id: ReplicaId, run: u32, record: Option<Record>, exit: Exit) {
    if let Some(record) = record {
        keep(inner, Record { exit: Some(exit.clone()), ..record }).await;
    }
    if inner.take_slot(replica_id, run) {
        drop(inner.events.send(DriverEvent::Exited { replica_id, run, exit }).await);
    }
}

/// The next agent reads the same.
async fn keep(inner: &Arc<Inner>, record: Record) {
    let dir = inner.record(record.start.replica_id);
    let replica_id = record.start.replica_id;
    let inner = Arc::clone(inner);
    let written = blocking(move || {
        let _alone = inner.records();
        match dir.read() {
            Recorded::Whole(now) if now.start.run == record.start.run && now.exit.is_none() => dir.write(&record),
            // It was forgotten, or started again, meanwhile.
            _ => Ok(()),
        }
    });
    if let Err(error) = written.await.flatten() {
        tracing::warn!(%replica_id, %error, "what became of a run is not on disk");
    }
}
