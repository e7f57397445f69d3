//! Finds the containers that an earlier agent process left behind.
//!
//! Decides from the records on disk and from what the engine has. Must never give up what may run: where the engine does
//! not answer soon, each run without an end is held, and settled when it does. Invariant: a run that is on disk gets one
//! end, and a container of this agent that nobody has a record of is held while it runs. Tests: `tests/it/driver`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fogline_core::id::ReplicaId;
use tokio::task::JoinSet;

use super::super::{Adopted, AdoptedState, Exit, ExitCause, StartError, StartOrder};
use super::exit::{self, Stage};
use super::look::Listed;
use super::record::{Record, RecordDir, Recorded};
use super::watch;
use super::{Inner, Slot, labels, replicas_in};

/// How long an agent that starts waits for the engine.
const WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn adopt(inner: &Arc<Inner>) -> Vec<Adopted> {
    let found = replicas_in(&inner.containers_dir());
    let listed = match tokio::time::timeout(WITHIN, watch::list(inner)).await {
        Ok(Ok(listed)) => Ok(listed),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the container engine does not answer".to_owned()),
    };
    let mut tasks = JoinSet::new();
    for (replica_id, path) in found {
        let (inner, dir) = (Arc::clone(inner), RecordDir::at(path));
        let why = listed.as_ref().err().cloned();
        tasks.spawn(async move { one(&inner, replica_id, &dir, why).await });
    }
    let mut adopted: Vec<Adopted> = tasks.join_all().await.into_iter().flatten().collect();
    for container in listed.iter().flatten() {
        adopted.extend(unrecorded(inner, container));
    }
    inner.adopted.store(true, Ordering::Release);
    inner.look.notify_one();
    adopted.sort_by_key(|one| one.order.replica_id);
    adopted
}

async fn one(inner: &Arc<Inner>, replica_id: ReplicaId, dir: &RecordDir, unknown: Option<String>) -> Option<Adopted> {
    let record = match dir.read() {
        Recorded::Whole(record) => *record,
        // For people to look at, until the replica is forgotten.
        Recorded::Nothing if dir.has_damaged() => return None,
        Recorded::Nothing => {
            // Nothing was recorded, so nothing was begun.
            drop(std::fs::remove_dir_all(dir.path()));
            return None;
        }
        Recorded::Damaged(why) => {
            tracing::error!(%replica_id, why, "the record of a replica is damaged: it was set aside");
            if let Err(error) = dir.set_aside() {
                tracing::error!(%replica_id, %error, "a damaged record cannot be set aside");
            }
            return None;
        }
    };
    if let Some(exit) = record.exit.clone() {
        return Some(ended(record, exit));
    }
    let run = record.start.run;
    if inner.slot(replica_id).is_some() {
        return None;
    }
    let seen = match unknown {
        Some(why) => Err(why),
        None => {
            let memory_mb = record.start.template.resources.memory_mb;
            watch::examine(inner, replica_id, run, memory_mb).await.map_err(|error| error.to_string())
        }
    };
    let seen = match seen {
        Ok(seen) => seen,
        Err(why) => {
            inner.set_slot(replica_id, Some(Slot::Held { run }));
            let state = AdoptedState::Held { why };
            return Some(Adopted { order: record.start, container_id: record.container, state });
        }
    };
    let exit = match (seen.stage, seen.container) {
        (Some(Stage::Runs), Some(container)) => {
            inner.set_slot(replica_id, Some(Slot::Running { run, container: container.clone() }));
            let adopted =
                Adopted { order: record.start.clone(), container_id: Some(container), state: AdoptedState::Alive };
            return Some(adopted);
        }
        (Some(Stage::Ended(exit)), _) => exit,
        (None, _) if record.container.is_some() => exit::removed(),
        // The agent went away in the middle of the start. What was made is swept away, and never started.
        _ => {
            let error = StartError::Interrupted;
            Exit { code: None, message: error.to_string(), cause: ExitCause::NotStarted(error) }
        }
    };
    let record = Record { exit: Some(exit.clone()), ..record };
    if let Err(error) = dir.write(&record) {
        tracing::warn!(%replica_id, %error, "the end of a run is not on disk");
    }
    Some(ended(record, exit))
}

fn ended(record: Record, exit: Exit) -> Adopted {
    Adopted { order: record.start, container_id: record.container, state: AdoptedState::Exited(exit) }
}

/// A container of this agent that runs, and that there is no record of.
fn unrecorded(inner: &Inner, container: &Listed) -> Option<Adopted> {
    let labels = container.labels.as_ref()?;
    let (replica_id, run) = labels::run_of(&inner.agent_id, labels)?;
    let is_known = inner.slot(replica_id).is_some() || inner.record(replica_id).whole().is_some();
    if is_known || inner.ended(replica_id).exists() || !container.state.may_run() {
        return None;
    }
    let order: StartOrder = labels::order_of(labels)?;
    inner.set_slot(replica_id, Some(Slot::Held { run }));
    let why = "what was kept of its start is lost".to_owned();
    tracing::error!(%replica_id, why, "a container of an earlier run holds this replica: it counts as running");
    Some(Adopted { order, container_id: Some(container.id.clone()), state: AdoptedState::Held { why } })
}
