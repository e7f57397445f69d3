//! Finds what an earlier agent process left behind.
//!
//! Decides, a directory at a time, from the lock (a shim lives), `order.json` (which run), `state.json` (who) and
//! `exit.json` (how it ended). Must never take a process for a shim because it has its id, nor pass over what may run: what
//! cannot be made out is held. Invariant: a directory without an order was never a run and is removed; a run without an
//! end gets one here. Tests: `tests/it/driver.rs`.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use fogline_core::id::ReplicaId;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::super::{Adopted, AdoptedState, Exit, ExitCause, StartError};
use super::pidfd::Pidfd;
use super::{Inner, Running, Slot, blocking, held, leftovers, replicas_in, watch};
use crate::clock::boot_us;
use crate::shim::proc_stat;
use crate::shim::replica_dir::{Ended, Order, Recorded, ReplicaDir, State};

/// How long a shim that has the lock may take to be made out; after that it is adopted as held.
const ROUND: Duration = Duration::from_millis(50);
const ROUNDS: u32 = 40;

/// What a directory says.
pub(super) enum Found {
    /// Nothing was ever started, or nothing is left of it.
    Nothing,
    Ended(Order, Exit),
    Alive(Order, State, OwnedFd),
    /// Something may run, and is not ready or not to be made out; why.
    Unclear(String),
}

pub(super) async fn adopt(inner: &Arc<Inner>) -> Vec<Adopted> {
    let mut tasks = Vec::new();
    for (replica_id, path) in replicas_in(&inner.replicas_dir()) {
        if inner.runs().contains_key(&replica_id) {
            continue;
        }
        let inner = Arc::clone(inner);
        tasks.push(tokio::spawn(async move { adopt_one(&inner, replica_id, ReplicaDir::at(path)).await }));
    }
    let mut adopted = Vec::new();
    for task in tasks {
        match task.await {
            Ok(found) => adopted.extend(found),
            Err(error) => tracing::error!(%error, "a replica could not be adopted"),
        }
    }
    adopted
}

async fn adopt_one(inner: &Arc<Inner>, replica_id: ReplicaId, dir: ReplicaDir) -> Option<Adopted> {
    let mut why = String::new();
    for _ in 0..ROUNDS {
        let (looking, looked) = (Arc::clone(inner), dir.clone());
        match blocking(move || look(&looking, replica_id, &looked)).await {
            Ok(Found::Nothing) => return None,
            Ok(Found::Ended(order, exit)) => {
                let container_id = dir.state(order.start.run).and_then(|state| state.child);
                return Some(Adopted {
                    order: order.start,
                    container_id: container_id.map(|child| child.pid.to_string()),
                    state: AdoptedState::Exited(exit),
                });
            }
            Ok(Found::Alive(order, state, shim_fd)) => match alive(inner, dir.clone(), order, &state, shim_fd) {
                Ok(adopted) => return Some(adopted),
                Err(error) => why = format!("it cannot be watched: {error}"),
            },
            Ok(Found::Unclear(said)) => why = said,
            Err(error) => why = format!("it cannot be looked at: {error}"),
        }
        tokio::time::sleep(ROUND).await;
    }
    tracing::error!(dir = %dir.path().display(), why, "a process of an earlier run holds this replica: it counts as running");
    let adopted = held::adopted(replica_id, &dir, why);
    held::keep(inner, replica_id, adopted.order.run, dir);
    Some(adopted)
}

/// Blocks while leftovers are killed.
pub(super) fn look(inner: &Inner, replica_id: ReplicaId, dir: &ReplicaDir) -> Found {
    let lock = match dir.try_lock() {
        Ok(lock) => lock,
        // There was a directory, and somebody has removed it by hand.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
        Err(error) => return Found::Unclear(format!("its lock cannot be tried: {error}")),
    };
    let order = match dir.read_order() {
        Recorded::Whole(order) => *order,
        Recorded::Unreadable(why) => return Found::Unclear(format!("its order.json cannot be read: {why}")),
        Recorded::Damaged(why) if lock.is_none() => {
            return Found::Unclear(format!("its order.json is damaged: {why}"));
        }
        Recorded::Nothing if lock.is_none() => return Found::Unclear("its order.json is not there".to_owned()),
        without => {
            clear(inner, replica_id, dir, &without);
            return Found::Nothing;
        }
    };
    let run = order.start.run;
    let state = dir.state(run);
    if lock.is_none() {
        if let Some(ended) = dir.ended(run) {
            return Found::Ended(order, ended.exit);
        }
        return match state.and_then(|state| Some((hold(&state)?, state))) {
            Some((shim_fd, state)) if state.child.is_some() => Found::Alive(order, state, shim_fd),
            _ => Found::Unclear("its start is not over, or its state.json cannot be read".to_owned()),
        };
    }
    // No shim, and none can begin while the lock is held.
    let exit = match &state {
        Some(_) => watch::exit_of(dir, &order, state.as_ref(), leftovers::Seen::Later),
        None => never_started(dir, &order),
    };
    if let Some(cgroup) = &order.launch.cgroup {
        cgroup.remove();
    }
    Found::Ended(order, exit)
}

/// There is no shim, and no order to go by: what is left of a run is ended all the same.
fn clear(inner: &Inner, replica_id: ReplicaId, dir: &ReplicaDir, order: &Recorded) {
    let cgroup = inner.cgroup(replica_id, dir);
    leftovers::kill(replica_id, cgroup.as_ref(), dir.last_state().as_ref(), leftovers::Seen::Later);
    let cleared = match order {
        Recorded::Damaged(why) => {
            tracing::error!(dir = %dir.path().display(), why, "the order of a replica is damaged: it was set aside");
            dir.set_order_aside()
        }
        _ => fs::remove_dir_all(dir.path()),
    };
    if let Err(error) = cleared {
        tracing::warn!(dir = %dir.path().display(), %error, "a half-made replica could not be removed");
    }
}

/// A descriptor of the shim, if it is the one that was written down.
fn hold(state: &State) -> Option<OwnedFd> {
    if state.boot_id != proc_stat::boot_id() {
        return None;
    }
    let shim_fd = pidfd_open(Pid::from_raw(state.shim.pid)?, PidfdFlags::empty()).ok()?;
    // Looked at while it is held, so it cannot be exchanged between.
    state.shim.is_alive().then_some(shim_fd)
}

fn never_started(dir: &ReplicaDir, order: &Order) -> Exit {
    let run = order.start.run;
    if let Some(ended) = dir.ended(run) {
        return ended.exit;
    }
    let error = StartError::Interrupted;
    let ended = Ended {
        run,
        boot_us: boot_us(),
        exit: Exit { code: None, message: error.to_string(), cause: ExitCause::NotStarted(error) },
    };
    if let Err(error) = dir.write_ended(&ended) {
        tracing::warn!(replica_id = %order.start.replica_id, %error, "an interrupted start is not on disk");
    }
    ended.exit
}

pub(super) fn alive(
    inner: &Arc<Inner>,
    dir: ReplicaDir,
    order: Order,
    state: &State,
    shim_fd: OwnedFd,
) -> io::Result<Adopted> {
    let program = state.child.ok_or_else(|| io::Error::other("its program is not known"))?;
    let running = Arc::new(Running {
        replica_id: order.start.replica_id,
        run: order.start.run,
        dir,
        shim: state.shim,
        program,
        shim_fd: Pidfd::new(shim_fd)?,
        cgroup: order.launch.cgroup,
        usage: std::sync::Mutex::default(),
    });
    inner.runs().insert(running.replica_id, Slot::Running(Arc::clone(&running)));
    watch::spawn(inner, running);
    Ok(Adopted { order: order.start, container_id: Some(program.pid.to_string()), state: AdoptedState::Alive })
}
