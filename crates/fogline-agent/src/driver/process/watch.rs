//! Waits for the ends of runs and tells them.
//!
//! A shim's end is the run's: it is the last to go. Invariant: one event a run, after nothing of it is left. Must never
//! keep the driver alive: a watcher ends with it, and what it watched runs on. Tests: `tests/it/driver.rs`.

use std::sync::{Arc, Weak};

use super::super::{DriverEvent, Exit, ExitCause};
use super::{Inner, Running, blocking, leftovers};
use crate::clock::boot_us;
use crate::shim::proc_stat;
use crate::shim::replica_dir::{Ended, Order, ReplicaDir, State};

/// Watches a run that is in `inner.runs` already.
pub(super) fn spawn(inner: &Arc<Inner>, running: Arc<Running>) {
    let stop = inner.stop.clone();
    let inner = Arc::downgrade(inner);
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            _ = running.shim_fd.until_ended() => ended(&inner, &running).await,
        }
    });
}

async fn ended(inner: &Weak<Inner>, running: &Running) {
    let (dir, run, cgroup) = (running.dir.clone(), running.run, running.cgroup.clone());
    let (replica_id, shim, program) = (running.replica_id, running.shim, running.program);
    let exit = blocking(move || {
        let exit = match dir.order().filter(|order| order.start.run == run) {
            Some(order) => exit_of(&dir, &order, dir.state(run).as_ref(), leftovers::Seen::ToEnd),
            // Its order is gone or damaged: what is known of it here is enough.
            None => dir.ended(run).map_or_else(
                || {
                    let state = State { run, boot_id: proc_stat::boot_id(), shim, child: Some(program) };
                    leftovers::kill(replica_id, cgroup.as_ref(), Some(&state), leftovers::Seen::ToEnd);
                    shim_killed()
                },
                |ended| ended.exit,
            ),
        };
        if let Some(cgroup) = cgroup {
            cgroup.remove();
        }
        exit
    })
    .await
    .unwrap_or_else(|_| shim_killed());
    let Some(inner) = inner.upgrade() else { return };
    inner.runs().remove(&running.replica_id);
    let event = DriverEvent::Exited { replica_id: running.replica_id, run, exit };
    // Nobody listens when the agent ends; the next one reads it from disk.
    drop(inner.events.send(event).await);
}

/// How a run ended whose shim is gone. Where the shim could not tell, its leftovers are killed and the end is written
/// down, so that the next agent reads the same.
pub(super) fn exit_of(dir: &ReplicaDir, order: &Order, state: Option<&State>, seen: leftovers::Seen) -> Exit {
    let run = order.start.run;
    if let Some(ended) = dir.ended(run) {
        return ended.exit;
    }
    leftovers::kill(order.start.replica_id, order.launch.cgroup.as_ref(), state, seen);
    let exit = shim_killed();
    let ended = Ended { run, boot_us: boot_us(), exit };
    if let Err(error) = dir.write_ended(&ended) {
        tracing::warn!(replica_id = %order.start.replica_id, %error, "the end of a run is not on disk");
    }
    ended.exit
}

fn shim_killed() -> Exit {
    Exit {
        code: None,
        cause: ExitCause::ShimKilled,
        message: "its `fogline shim` was killed, and with it all of its processes".to_owned(),
    }
}
