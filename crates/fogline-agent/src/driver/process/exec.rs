//! Runs a command beside a replica's program: in its working directory, with its environment, in its cgroup.
//!
//! The agent starts it, not the shim, which is for one program. Invariants: it is killed with its session when its time is
//! over, when the replica ends, and when it leaves something behind; its process id means itself until it was reaped here.
//! An agent that is killed meanwhile leaves it to the replica's cgroup, which ends it with the replica. Tests:
//! `tests/it/driver`.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fogline_core::id::ReplicaId;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe::Receiver;

use super::super::exec::{ExecError, ExecOrder, ExecOutcome, Kind, NOT_FOUND, NOT_RUNNABLE, Output, not_run};
use super::{Inner, Running, Slot, blocking};
use crate::shim::proc_stat::{self, kill_if};
use crate::shim::replica_dir::Launch;
use crate::shim::sys;

/// How often it is looked whether the replica is still there.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long what was killed may still have something to say.
const LAST_WORDS: Duration = Duration::from_millis(200);

pub(super) async fn run(
    inner: &Arc<Inner>,
    replica_id: ReplicaId,
    order: &ExecOrder,
) -> Result<ExecOutcome, ExecError> {
    let running = match inner.runs().get(&replica_id) {
        Some(Slot::Running(running)) => Arc::clone(running),
        Some(Slot::Busy { .. } | Slot::Held(_)) | None => return Err(ExecError::NotRunning(replica_id)),
    };
    let (beside, command, open_files) = (Arc::clone(&running), order.command.clone(), inner.config.open_files);
    let spawned = blocking(move || {
        let launch = beside.dir.order().ok_or_else(|| io::Error::other("its order cannot be read"))?.launch;
        Ok::<_, io::Error>(spawn(&launch, &command, open_files))
    });
    let mut child = match spawned.await.flatten().map_err(ExecError::failed)? {
        Ok(child) => child,
        Err(error) => return could_not(&order.command, &error),
    };
    let output = Arc::new(Mutex::new(Output::new(order.max_output)));
    let readers = [
        read(child.stdout.take().map(Into::into), Kind::Stdout, &output),
        read(child.stderr.take().map(Into::into), Kind::Stderr, &output),
    ];
    let group = Arc::new(Group::of(&child));
    let waiting = {
        let group = Arc::clone(&group);
        tokio::task::spawn_blocking(move || group.until_ended(child))
    };
    let ended = tokio::select! {
        status = waiting => status.map_err(ExecError::failed)?.map_err(ExecError::failed),
        () = tokio::time::sleep(order.deadline) => Err(ExecError::timed_out(order)),
        () = gone(&running) => Err(ExecError::NotRunning(replica_id)),
    };
    // The one who waits reaps it, and kills what is left of its session before.
    group.kill();
    for reader in readers {
        let abort = reader.abort_handle();
        if tokio::time::timeout(LAST_WORDS, reader).await.is_err() {
            abort.abort();
        }
    }
    let exit_code = ended?;
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::replace(&mut *output, Output::new(0)).end(exit_code))
}

fn spawn(launch: &Launch, command: &[String], open_files: Option<u64>) -> io::Result<Child> {
    let (program, args) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
    let cgroup_procs = launch.cgroup.iter().flat_map(|cgroup| cgroup.open_procs()).map(Into::into).collect();
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs(&launch.env)
        .current_dir(&launch.working_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    sys::prepare_beside(&mut command, cgroup_procs, open_files);
    command.spawn()
}

/// As a shell tells it.
fn could_not(command: &[String], error: &io::Error) -> Result<ExecOutcome, ExecError> {
    let program = command.first().map_or("", String::as_str);
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Ok(not_run(NOT_FOUND, &format!("cannot run {program:?}: no such program on this node")))
        }
        io::ErrorKind::PermissionDenied => Ok(not_run(NOT_RUNNABLE, &format!("cannot run {program:?}: {error}"))),
        _ if error.raw_os_error() == Some(libc::ENOEXEC) => {
            Ok(not_run(NOT_RUNNABLE, &format!("cannot run {program:?}: {error}")))
        }
        _ => Err(ExecError::failed(error)),
    }
}

fn read(pipe: Option<std::os::fd::OwnedFd>, kind: Kind, output: &Arc<Mutex<Output>>) -> tokio::task::JoinHandle<()> {
    let output = Arc::clone(output);
    tokio::spawn(async move {
        let Some(pipe) = pipe.and_then(|pipe| Receiver::from_owned_fd(pipe).ok()) else { return };
        read_all(pipe, kind, &output).await;
    })
}

async fn read_all(mut pipe: impl AsyncRead + Unpin, kind: Kind, output: &Mutex<Output>) {
    let mut piece = vec![0; 16 * 1_024];
    while let Ok(count @ 1..) = pipe.read(&mut piece).await {
        output.lock().unwrap_or_else(PoisonError::into_inner).take(kind, &piece[..count]);
    }
}

/// Until the replica's shim is not there any more.
async fn gone(running: &Running) {
    while running.shim.is_alive() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The command's session. Its number is its own until it was reaped.
struct Group {
    pid: Option<Pid>,
    reaped: Mutex<bool>,
}

impl Group {
    fn of(child: &Child) -> Self {
        Self { pid: i32::try_from(child.id()).ok().and_then(Pid::from_raw), reaped: Mutex::new(false) }
    }

    /// SIGKILL to everything in it, unless its number may be another's by now.
    fn kill(&self) {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reaped {
            self.kill_unreaped();
        }
    }

    fn kill_unreaped(&self) {
        let Some(pid) = self.pid else { return };
        let _ = kill_process_group(pid, Signal::KILL);
        for stat in proc_stat::all().unwrap_or_default() {
            if stat.session == pid.as_raw_nonzero().get() && !stat.is_dead() {
                kill_if(stat.pid, Signal::KILL, |now| now.identity() == stat.identity());
            }
        }
    }

    /// Blocks until it has ended, ends what it has left behind, and reaps it.
    fn until_ended(&self, mut child: Child) -> io::Result<i32> {
        if let Some(pid) = self.pid {
            while let Err(error) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                if error != rustix::io::Errno::INTR {
                    return Err(error.into());
                }
            }
        }
        let mut reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        self.kill_unreaped();
        let status = child.wait()?;
        *reaped = true;
        Ok(status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1))
    }
}
