//! Finds what an earlier agent process left behind.
//!
//! Decides, a directory at a time, from the lock (a shim lives), `order.json` (which run), `state.json` (who) and
//! `exit.json` (how it ended). Must never take a process for a shim because it has its id. Invariant: a directory
//! without an order was never a run and is removed; a run without an end gets one here. Tests: `tests/it/driver.rs`.

use std::fs;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::super::{Adopted, AdoptedState, Exit, ExitCause, StartError};
use super::pidfd::Pidfd;
use super::{Inner, Running, Slot, blocking, leftovers, replicas_in, watch};
use crate::shim;
use crate::shim::proc_stat;
use crate::shim::replica_dir::{Ended, Order, ReplicaDir, State};

/// How long a shim that has the lock may take until it has started its program.
const ROUND: Duration = Duration::from_millis(50);
const ROUNDS: u32 = 200;

/// What a directory says.
enum Found {
    /// Nothing was ever started.
    Nothing,
    Ended(Order, Exit),
    Alive(Order, State, OwnedFd),
    /// A shim has it, and is not ready or not to be made out.
    Unclear,
}

pub(super) async fn adopt(inner: &Arc<Inner>) -> Vec<Adopted> {
    let mut tasks = Vec::new();
    for (replica_id, path) in replicas_in(&inner.replicas_dir()) {
        if inner.runs().contains_key(&replica_id) {
            continue;
        }
        let inner = Arc::clone(inner);
        tasks.push(tokio::spawn(async move { adopt_one(&inner, ReplicaDir::at(path)).await }));
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

async fn adopt_one(inner: &Arc<Inner>, dir: ReplicaDir) -> Option<Adopted> {
    for _ in 0..ROUNDS {
        let looked = dir.clone();
        match blocking(move || look(&looked)).await.ok()? {
            Found::Nothing => return None,
            Found::Ended(order, exit) => {
                let container_id = dir.state(order.start.run).and_then(|state| state.child);
                return Some(Adopted {
                    order: order.start,
                    container_id: container_id.map(|child| child.pid.to_string()),
                    state: AdoptedState::Exited(exit),
                });
            }
            Found::Alive(order, state, shim_fd) => return alive(inner, dir, order, &state, shim_fd),
            Found::Unclear => tokio::time::sleep(ROUND).await,
        }
    }
    tracing::error!(dir = %dir.path().display(), "a shim holds this replica, and its files do not say which: left alone");
    None
}

/// Blocks while leftovers are killed.
fn look(dir: &ReplicaDir) -> Found {
    let Ok(lock) = dir.try_lock() else { return Found::Unclear };
    let Some(order) = dir.order() else {
        if lock.is_none() {
            return Found::Unclear;
        }
        if let Err(error) = fs::remove_dir_all(dir.path()) {
            tracing::warn!(dir = %dir.path().display(), %error, "a half-made replica could not be removed");
        }
        return Found::Nothing;
    };
    let run = order.start.run;
    let state = dir.state(run);
    if lock.is_none() {
        if let Some(ended) = dir.ended(run) {
            return Found::Ended(order, ended.exit);
        }
        return match state.and_then(|state| Some((hold(&state)?, state))) {
            Some((shim_fd, state)) if state.child.is_some() => Found::Alive(order, state, shim_fd),
            _ => Found::Unclear,
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
        boot_us: shim::boot_us(),
        exit: Exit { code: None, message: error.to_string(), cause: ExitCause::NotStarted(error) },
    };
    if let Err(error) = dir.write_ended(&ended) {
        tracing::warn!(replica_id = %order.start.replica_id, %error, "an interrupted start is not on disk");
    }
    ended.exit
}

fn alive(inner: &Arc<Inner>, dir: ReplicaDir, order: Order, state: &State, shim_fd: OwnedFd) -> Option<Adopted> {
    let program = state.child?;
    let shim_fd = match Pidfd::new(shim_fd) {
        Ok(shim_fd) => shim_fd,
        Err(error) => {
            tracing::error!(replica_id = %order.start.replica_id, %error, "a running replica cannot be watched");
            return None;
        }
    };
    let running = Arc::new(Running {
        replica_id: order.start.replica_id,
        run: order.start.run,
        dir,
        shim: state.shim,
        program,
        shim_fd,
        cgroup: order.launch.cgroup,
        usage: std::sync::Mutex::default(),
    });
    inner.runs().insert(running.replica_id, Slot::Running(Arc::clone(&running)));
    watch::spawn(inner, running);
    Some(Adopted { order: order.start, container_id: Some(program.pid.to_string()), state: AdoptedState::Alive })
}
