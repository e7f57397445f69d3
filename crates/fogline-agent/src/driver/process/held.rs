//! A replica that something of an earlier run still holds, and that cannot be made out, or not yet.
//!
//! Decides nothing about it but whether it is over: its lock is free then. Until that it counts as running: it is not
//! started, its directory is not touched, and it can be told to end. Once its files can be read, it is adopted. Must
//! never signal a process that is not the replica's: one is, when it has the replica's lock open, is the shim by id and
//! start time, is in such a one's session, or says so in its environment. Tests: `tests/it/driver.rs`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Weak};
use std::thread::sleep;
use std::time::Duration;

use fogline_core::id::{DeploymentId, NodeId, ReplicaId};
use fogline_core::quantity::Resources;
use fogline_core::spec::{ReplicaTemplate, Runtime};
use rustix::process::Signal as Number;
use serde_json::Value;

use super::super::{Adopted, AdoptedState, DriverEvent, Exit, ExitCause, Signal, StartOrder};
use super::adopt::{self, Found};
use super::{Inner, Slot, blocking, environment};
use crate::cgroup::ReplicaCgroup;
use crate::shim::proc_stat::{self, ProcStat, kill_if};
use crate::shim::replica_dir::{Recorded, ReplicaDir};

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(250);
/// How long a shim may take to tell the end of what was killed, before it is killed itself.
const ROUND: Duration = Duration::from_millis(10);
const ROUNDS: u32 = 200;

/// What is known of it.
pub(super) struct Held {
    replica_id: ReplicaId,
    pub run: u32,
    dir: ReplicaDir,
    cgroup: Option<ReplicaCgroup>,
}

/// Takes note of it, and looks at it from now on.
pub(super) fn keep(inner: &Arc<Inner>, replica_id: ReplicaId, run: u32, dir: ReplicaDir) {
    let cgroup = inner.cgroup(replica_id, &dir);
    let held = Arc::new(Held { replica_id, run, dir, cgroup });
    inner.runs().insert(held.replica_id, Slot::Held(Arc::clone(&held)));
    let stop = inner.stop.clone();
    let inner = Arc::downgrade(inner);
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = until_known(&inner, &held) => {}
        }
    });
}

async fn until_known(inner: &Weak<Inner>, held: &Arc<Held>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(inner) = inner.upgrade() else { return };
        let (looking, looked) = (Arc::clone(&inner), Arc::clone(held));
        let found = blocking(move || adopt::look(&looking, looked.replica_id, &looked.dir)).await;
        let exit = match found {
            Ok(Found::Alive(order, state, shim_fd)) => {
                // Where it cannot be watched just now, it is looked at again.
                if let Ok(adopted) = adopt::alive(&inner, held.dir.clone(), order, &state, shim_fd) {
                    tracing::info!(replica_id = %held.replica_id, "a replica that could not be made out runs, and is adopted");
                    drop(inner.events.send(DriverEvent::Adopted(Box::new(adopted))).await);
                    return;
                }
                continue;
            }
            Ok(Found::Unclear(_)) | Err(_) => continue,
            Ok(Found::Ended(_, exit)) => exit,
            Ok(Found::Nothing) => Exit {
                code: None,
                cause: ExitCause::ShimKilled,
                message: "it ended; how is not known, because what was kept of its run could not be read".to_owned(),
            },
        };
        inner.runs().remove(&held.replica_id);
        let event = DriverEvent::Exited { replica_id: held.replica_id, run: held.run, exit };
        drop(inner.events.send(event).await);
        return;
    }
}

/// What can be said of it: the order, or of one that cannot be read the few things that matter.
pub(super) fn adopted(replica_id: ReplicaId, dir: &ReplicaDir, why: String) -> Adopted {
    let order = match dir.read_order() {
        Recorded::Whole(order) => order.start,
        Recorded::Nothing | Recorded::Damaged(_) | Recorded::Unreadable(_) => salvaged(replica_id, dir),
    };
    Adopted { order, container_id: None, state: AdoptedState::Held { why } }
}

/// Whoever is told [`AdoptedState::Held`] takes no more from the order than what is set here.
fn salvaged(replica_id: ReplicaId, dir: &ReplicaDir) -> StartOrder {
    let text = fs::read(dir.path().join("order.json")).unwrap_or_default();
    let order: Value = serde_json::from_slice(&text).unwrap_or_default();
    let start = &order["start"];
    let run = start["run"].as_u64().and_then(|run| run.try_into().ok());
    StartOrder {
        replica_id,
        deployment_id: DeploymentId::from_uuid(replica_id.as_uuid()),
        deployment_name: String::new(),
        node_id: NodeId::from_uuid(replica_id.as_uuid()),
        node_name: start["node_name"].as_str().unwrap_or_default().to_owned(),
        revision: 0,
        run: run.or_else(|| Some(dir.last_state()?.run)).unwrap_or(0),
        template: Arc::new(ReplicaTemplate {
            runtime: Runtime::Process,
            container_image: None,
            command: Vec::new(),
            env: std::collections::BTreeMap::new(),
            working_dir: None,
            resources: Resources::ZERO,
            port: None,
            host_port: None,
            container: None,
            health: None,
            warm_up: None,
            grace_s: 0,
            drain_timeout_s: 0,
        }),
        image_digest: None,
        port: start["port"].as_u64().and_then(|port| port.try_into().ok()),
    }
}

/// Blocks while what was killed ends.
pub(super) fn signal(held: &Held, signal: Signal) -> io::Result<()> {
    let shims = shims(held)?;
    match signal {
        // A shim passes it on.
        Signal::Terminate if !shims.is_empty() => send(&shims, &[Number::TERM, Number::CONT]),
        Signal::Terminate => send(&processes(held, &shims)?, &[Number::TERM, Number::CONT]),
        Signal::Kill => {
            for _ in 0..ROUNDS {
                if let Some(cgroup) = &held.cgroup {
                    cgroup.kill();
                }
                send(&processes(held, &shims)?, &[Number::KILL]);
                send(&shims, &[Number::CONT]);
                if !shims.iter().any(|shim| shim.identity().is_alive()) {
                    return Ok(());
                }
                sleep(ROUND);
            }
            send(&shims, &[Number::KILL]);
            send(&processes(held, &shims)?, &[Number::KILL]);
        }
    }
    Ok(())
}

fn send(to: &[ProcStat], signals: &[Number]) {
    for stat in to {
        for signal in signals {
            kill_if(stat.pid, *signal, |now| now.identity() == stat.identity());
        }
    }
}

/// Who holds it: normally one.
fn shims(held: &Held) -> io::Result<Vec<ProcStat>> {
    let me = std::process::id().cast_signed();
    let my_line = fs::read("/proc/self/cmdline").unwrap_or_default();
    let written = held.dir.last_state().filter(|state| state.boot_id == proc_stat::boot_id()).map(|state| state.shim);
    let lock = fs::metadata(held.dir.path().join("lock")).map(|lock| (lock.dev(), lock.ino())).ok();
    let has_lock = |pid: i32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        lock.is_some()
            && open.filter_map(|fd| fs::metadata(fd.path()).ok()).any(|file| Some((file.dev(), file.ino())) == lock)
    };
    // Between fork and exec, a child has a copy of all that this process has open.
    let is_my_fork = |stat: &ProcStat| {
        stat.ppid == me && fs::read(format!("/proc/{}/cmdline", stat.pid)).is_ok_and(|line| line == my_line)
    };
    let all = proc_stat::all()?.into_iter().filter(|stat| stat.pid != me && !stat.is_dead());
    Ok(all.filter(|stat| Some(stat.identity()) == written || (has_lock(stat.pid) && !is_my_fork(stat))).collect())
}

/// What else is of the replica.
fn processes(held: &Held, shims: &[ProcStat]) -> io::Result<Vec<ProcStat>> {
    let me = std::process::id().cast_signed();
    let marker = environment::marker(held.replica_id);
    let shims: Vec<_> = shims.iter().filter(|shim| shim.identity().is_alive()).collect();
    let is_one = |stat: &ProcStat| {
        shims.iter().any(|shim| stat.session == shim.pid) || environment::has_marker(stat.pid, &marker)
    };
    let all = proc_stat::all()?.into_iter().filter(|stat| stat.pid != me && !stat.is_dead());
    Ok(all.filter(|stat| shims.iter().all(|shim| shim.pid != stat.pid) && is_one(stat)).collect())
}
