//! Signals a replica: all of its processes, through what cannot have been exchanged for something else.
//!
//! Invariant: SIGTERM goes by the shim, which passes it on to the program's group while that exists; SIGKILL does not
//! rely on the shim, which may itself be stopped. Tests: `tests/it/driver.rs`.

use std::io;
use std::sync::Arc;

use fogline_core::id::ReplicaId;
use rustix::process::{Pid, Signal as Number, kill_process_group};

use super::super::{DriverError, Signal};
use super::{Inner, Running, Slot, blocking, held};
use crate::shim::proc_stat::{self, ProcessIdentity, kill_if};

pub(super) async fn send(inner: &Inner, replica_id: ReplicaId, signal: Signal) -> Result<(), DriverError> {
    let target = match inner.runs().get(&replica_id) {
        Some(Slot::Running(running)) => Ok(Arc::clone(running)),
        Some(Slot::Held(held)) => Err(Arc::clone(held)),
        Some(Slot::Busy { .. }) | None => return Err(DriverError::NotRunning(replica_id)),
    };
    let sent = blocking(move || match (target, signal) {
        (Ok(running), Signal::Terminate) => to_shim(&running, Number::TERM),
        (Ok(running), Signal::Kill) => kill(&running),
        (Err(held), signal) => held::signal(&held, signal),
    });
    sent.await.flatten().map_err(|source| DriverError::Signal { replica_id, source })
}

/// It may have been stopped, and then hears nothing else before SIGCONT.
fn to_shim(running: &Running, signal: Number) -> io::Result<()> {
    for signal in [signal, Number::CONT] {
        running.shim_fd.send(signal)?;
    }
    Ok(())
}

fn kill(running: &Running) -> io::Result<()> {
    if let Some(cgroup) = &running.cgroup {
        cgroup.kill();
    }
    // While the program is there, were it as a zombie, its group's number is its own.
    if ProcessIdentity::of(running.program.pid) == Some(running.program)
        && let Some(group) = Pid::from_raw(running.program.pid)
    {
        let _ = kill_process_group(group, Number::KILL);
    }
    // While the shim is there, its session's number is its own. What left the session is killed by the shim, as its
    // orphan, when the program is gone.
    if running.shim.is_alive() {
        for stat in proc_stat::all()? {
            if stat.session == running.shim.pid && stat.pid != running.shim.pid && !stat.is_dead() {
                kill_if(stat.pid, Number::KILL, |now| now.identity() == stat.identity());
            }
        }
    }
    to_shim(running, Number::CONT)
}
