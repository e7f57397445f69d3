//! Kills what a run left behind when its shim could not: the shim itself was killed.
//!
//! Must never kill a process that is not the run's. A process is the run's when it is in the run's cgroup, is the
//! program by id and start time, says so in its environment, or, only where the shim was watched to its end so that its
//! session's number cannot be somebody else's by now, is in the shim's session or the program's group. Tests:
//! `tests/it/driver.rs`.

use std::thread::sleep;
use std::time::Duration;

use fogline_core::id::ReplicaId;
use rustix::process::Signal;

use super::environment;
use crate::cgroup::ReplicaCgroup;
use crate::shim::proc_stat::{self, ProcStat, kill_if};
use crate::shim::replica_dir::State;

const ROUND: Duration = Duration::from_millis(5);
const ROUNDS: u32 = 2_000;

/// What is known about the time since the shim went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// It has just ended, under the driver's eyes.
    ToEnd,
    /// Nobody watched: ids may have been given out again.
    Later,
}

/// Kills until nothing is found, then removes the cgroup.
pub(super) fn kill(replica_id: ReplicaId, cgroup: Option<&ReplicaCgroup>, state: Option<&State>, seen: Seen) {
    // Ids and start times of another boot mean nothing, and nothing of it runs.
    let state = state.filter(|state| state.boot_id == proc_stat::boot_id());
    for _ in 0..ROUNDS {
        if let Some(cgroup) = cgroup {
            cgroup.kill();
        }
        let found = find(replica_id, state, seen);
        for stat in &found {
            kill_if(stat.pid, Signal::KILL, |now| now.identity() == stat.identity());
        }
        let is_empty = cgroup.is_none_or(ReplicaCgroup::remove);
        if found.is_empty() && is_empty {
            return;
        }
        sleep(ROUND);
    }
    tracing::error!(%replica_id, "some processes of an ended replica could not be killed within 10 s");
}

/// What is alive of a run.
fn find(replica_id: ReplicaId, state: Option<&State>, seen: Seen) -> Vec<ProcStat> {
    let me = std::process::id();
    let marker = environment::marker(replica_id);
    let is_of_run = |stat: &ProcStat| {
        let by_number = state.is_some_and(|state| {
            let is_program = state.child == Some(stat.identity());
            let is_shim = state.shim == stat.identity();
            let in_session = stat.session == state.shim.pid || state.child.is_some_and(|child| stat.pgrp == child.pid);
            is_program || is_shim || (seen == Seen::ToEnd && in_session && stat.start_ticks >= state.shim.start_ticks)
        });
        by_number || environment::has_marker(stat.pid, &marker)
    };
    proc_stat::all()
        .unwrap_or_default()
        .into_iter()
        .filter(|stat| u32::try_from(stat.pid) != Ok(me) && !stat.is_dead() && is_of_run(stat))
        .collect()
}
