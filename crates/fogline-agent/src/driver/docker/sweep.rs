//! Removes containers that nobody needs any more, after keeping their output.
//!
//! Decides from records: the container of the last run stays until its replica is forgotten, because its output is there;
//! every other one of this agent goes. Must never touch a container of anybody else, nor one whose run is not over.
//! Tests: `tests/it/driver`.

use std::collections::HashMap;
use std::sync::Arc;

use bollard::query_parameters::RemoveContainerOptions;
use fogline_core::id::ReplicaId;

use super::look::{Listed, Phase};
use super::record::RecordDir;
use super::{Inner, Slot, labels, logs, watch};

/// What is to become of a container.
enum Fate {
    Stays,
    /// It goes, and its output is kept here, if anywhere.
    Goes(Option<RecordDir>),
}

/// Looks through everything that the engine has of this agent.
pub(super) async fn sweep(inner: &Arc<Inner>, listed: &[Listed]) {
    for container in listed {
        let labels = container.labels.as_ref();
        let Some((replica_id, run)) = labels.and_then(|labels| labels::run_of(&inner.agent_id, labels)) else {
            continue;
        };
        if let Fate::Goes(keep) = fate(inner, replica_id, run, container.state) {
            remove(inner, replica_id, run, container, keep).await;
        }
    }
}

/// Removes what earlier runs of a replica have left.
pub(super) async fn earlier_runs(inner: &Arc<Inner>, replica_id: ReplicaId, run: u32) {
    let listed = match watch::list(inner).await {
        Ok(listed) => listed,
        Err(error) => return tracing::warn!(%replica_id, %error, "earlier containers are not removed yet"),
    };
    for container in &listed {
        let labels: Option<&HashMap<String, String>> = container.labels.as_ref();
        let of = labels.and_then(|labels| labels::run_of(&inner.agent_id, labels));
        if of.is_some_and(|(id, earlier)| id == replica_id && earlier < run) && !container.state.may_run() {
            let (_, earlier) = of.expect("checked in the line above");
            remove(inner, replica_id, earlier, container, Some(inner.record(replica_id))).await;
        }
    }
}

fn fate(inner: &Inner, replica_id: ReplicaId, run: u32, phase: Phase) -> Fate {
    match inner.slot(replica_id) {
        // It is being started, or it runs, or nobody knows.
        Some(Slot::Busy { .. } | Slot::Held { .. }) => return Fate::Stays,
        Some(slot) if slot.run() == run => return Fate::Stays,
        _ => {}
    }
    let (record, ended) = (inner.record(replica_id), inner.ended(replica_id));
    match record.whole() {
        // Its output is read from it, until it is forgotten. One that never ran has none.
        Some(last) if last.start.run == run && last.exit.is_none() => Fate::Stays,
        Some(last) if last.start.run == run && phase == Phase::Over => Fate::Stays,
        // That run was told to be over, whatever came late.
        Some(_) => Fate::Goes(Some(record)),
        None if record.exists() && phase.may_run() => Fate::Stays,
        None if ended.exists() => Fate::Goes(Some(ended)),
        None if phase.may_run() => Fate::Stays,
        None => Fate::Goes(None),
    }
}

async fn remove(inner: &Arc<Inner>, replica_id: ReplicaId, run: u32, container: &Listed, keep: Option<RecordDir>) {
    let id = container.id.clone();
    if let Some(keep) = keep
        && container.state != Phase::Made
        && !inner.is_archived(replica_id, run)
    {
        match logs::archive(inner, &id, keep.logs()).await {
            Ok(()) => inner.note_archived(replica_id, run),
            Err(error) => {
                return tracing::warn!(%replica_id, run, %error, "a container stays until its output can be kept");
            }
        }
    }
    let options = RemoveContainerOptions { v: true, force: container.state.may_run(), link: false };
    let removed = inner
        .engine
        .again("removing a container", |docker| {
            let (id, options) = (id.clone(), options.clone());
            async move { docker.remove_container(&id, Some(options)).await }
        })
        .await;
    match removed {
        Err(error) if !error.is_missing() && !error.is_conflict() => {
            tracing::warn!(%replica_id, run, %error, "a container is not removed; it is tried again");
        }
        _ => inner.unnote_archived(replica_id, run),
    }
}
