//! Removes containers that nobody needs any more, after keeping their output.
//!
//! Decides from records: the container of the last run stays until its replica is forgotten, because its output is there;
//! every other one of this agent goes. Must never touch a container of anybody else, nor one whose run is not over.
//! Tests: `tests/it/driver`.

use std::sync::Arc;

use bollard::query_parameters::{KillContainerOptions, RemoveContainerOptions};
use fogline_core::id::ReplicaId;

use super::archive::archive;
use super::look::{self, Listed, Phase};
use super::{Inner, Slot, claims, labels, watch};

/// Looks through everything that the engine has of this agent.
pub(super) async fn sweep(inner: &Arc<Inner>, listed: &[Listed]) {
    let ours = in_order(inner, listed);
    // Of what is gone nothing need be known any more.
    inner.archived().retain(|kept| ours.iter().any(|(replica_id, run, _)| (*replica_id, *run) == *kept));
    let mut waits = None;
    for (replica_id, run, container) in ours {
        if waits == Some(replica_id) || !goes(inner, replica_id, run, container.state) {
            continue;
        }
        if container.state.may_run() && !still_goes(inner, replica_id, run, container).await {
            continue;
        }
        if !remove(inner, replica_id, run, container).await {
            waits = Some(replica_id);
        }
    }
}

/// Removes what earlier runs of a replica have left.
pub(super) async fn earlier_runs(inner: &Arc<Inner>, replica_id: ReplicaId, run: u32) {
    let listed = match watch::list(inner).await {
        Ok(listed) => listed,
        Err(error) => return tracing::warn!(%replica_id, %error, "earlier containers are not removed yet"),
    };
    for (id, earlier, container) in in_order(inner, &listed) {
        let is_earlier = id == replica_id && earlier < run && !container.state.may_run();
        if is_earlier && !remove(inner, replica_id, earlier, container).await {
            return;
        }
    }
}

/// The containers of each replica, the oldest first: their output is kept in the order in which it was said.
fn in_order<'a>(inner: &Inner, listed: &'a [Listed]) -> Vec<(ReplicaId, u32, &'a Listed)> {
    let of = |container: &'a Listed| {
        let (replica_id, run) = labels::run_of(&inner.agent_id, container.labels.as_ref()?)?;
        Some((replica_id, run, container))
    };
    let mut ours: Vec<_> = listed.iter().filter_map(of).collect();
    ours.sort_by_key(|(replica_id, run, _)| (*replica_id, *run));
    ours
}

/// Whether nobody needs it any more.
fn goes(inner: &Inner, replica_id: ReplicaId, run: u32, phase: Phase) -> bool {
    match inner.slot(replica_id) {
        // It is being started, or it runs, or nobody knows.
        Some(Slot::Busy { .. } | Slot::Held { .. }) => return false,
        Some(slot) if slot.run() == run => return false,
        _ => {}
    }
    let (record, ended) = (inner.record(replica_id), inner.ended(replica_id));
    match record.whole() {
        // Its output is read from it, until it is forgotten. One that never ran has none.
        Some(last) if last.start.run == run && last.exit.is_none() => false,
        Some(last) if last.start.run == run && phase == Phase::Over => false,
        // That run was told to be over, whatever came late.
        Some(_) => true,
        None if record.exists() && phase.may_run() => false,
        None => ended.exists() || !phase.may_run(),
    }
}

/// The same, asked again of one that ran when everything was listed: it may have ended since, and its end been told.
async fn still_goes(inner: &Inner, replica_id: ReplicaId, run: u32, container: &Listed) -> bool {
    match look::once_at(&inner.engine, &container.id).await {
        Ok(now) => goes(inner, replica_id, run, now.state.status),
        Err(error) => {
            tracing::debug!(%replica_id, run, %error, "not known whether a container still runs: it stays until the next look");
            false
        }
    }
}

/// Whether its output is kept, if it is to be: that of later runs comes after it.
async fn remove(inner: &Arc<Inner>, replica_id: ReplicaId, run: u32, container: &Listed) -> bool {
    let id = &container.id;
    let Some(_removing) = claims::remove(inner, id) else {
        tracing::debug!(%replica_id, run, "a container stays until nobody reads its output any more");
        if container.state.may_run() {
            // Nobody may keep it running by that.
            kill(inner, replica_id, run, id).await;
        }
        return false;
    };
    let has_output = container.state != Phase::Made && inner.kept(replica_id).is_some();
    if has_output && !inner.is_archived(replica_id, run) {
        match archive(inner, replica_id, id).await {
            Ok(()) => inner.note_archived(replica_id, run),
            Err(error) => {
                tracing::warn!(%replica_id, run, %error, "a container stays until its output can be kept");
                return false;
            }
        }
    }
    let options = RemoveContainerOptions { v: true, force: container.state.may_run(), link: false };
    let removed = inner
        .engine
        .again("removing a container", |docker| {
            let options = options.clone();
            async move { docker.remove_container(id, Some(options)).await }
        })
        .await;
    match removed {
        // It is about to go. Until then it is known that its output is kept.
        Err(error) if error.is_conflict() => {}
        Err(error) if !error.is_missing() => {
            tracing::warn!(%replica_id, run, %error, "a container is not removed; it is tried again");
        }
        _ => inner.unnote_archived(replica_id, run),
    }
    true
}

async fn kill(inner: &Inner, replica_id: ReplicaId, run: u32, id: &str) {
    let options = KillContainerOptions { signal: "SIGKILL".to_owned() };
    let killed = inner
        .engine
        .again("killing a container", |docker| {
            let options = options.clone();
            async move { docker.kill_container(id, Some(options)).await }
        })
        .await;
    if let Err(error) = killed
        && !error.is_missing()
        && !error.is_conflict()
    {
        tracing::warn!(%replica_id, run, %error, "a container is not killed; it is tried again");
    }
}
