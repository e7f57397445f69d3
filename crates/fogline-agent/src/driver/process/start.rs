//! Starts a run: order on disk, shim, program.
//!
//! Invariant: a run is recorded before its shim exists, and a recorded run is refused, so nothing is started twice
//! whatever is repeated or interrupted. The shim holds its standard output, a pipe, open until the program runs or
//! cannot: its end is waited for, what happened is read from the files. Tests: `tests/it/driver.rs`.

use std::collections::btree_map::Entry;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use fogline_core::spec::Runtime;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use super::super::{Exit, ExitCause, StartError, StartOrder, Started};
use super::pidfd::Pidfd;
use super::{Inner, Running, Slot, blocking, environment, held, leftovers, watch};
use crate::cgroup::CgroupLimits;
use crate::clock::boot_us;
use crate::shim::proc_stat::ProcessIdentity;
use crate::shim::program::keep_error;
use crate::shim::replica_dir::{Ended, Launch, Order, ReplicaDir};
use crate::shim::{self, sys};

/// A shim that was spawned.
struct Spawned {
    child: Child,
    shim: ProcessIdentity,
    shim_fd: OwnedFd,
    stdout: OwnedFd,
}

pub(super) async fn start(inner: &Arc<Inner>, order: StartOrder) -> Result<Started, StartError> {
    let inner = Arc::clone(inner);
    let program = order.template.command.first().cloned().unwrap_or_default();
    // A task, so that a start is never left half done when nobody waits for it any more.
    tokio::spawn(async move { start_whole(&inner, order).await })
        .await
        .unwrap_or_else(|error| Err(other(&program, "starting it", &error)))
}

async fn start_whole(inner: &Arc<Inner>, order: StartOrder) -> Result<Started, StartError> {
    if order.template.runtime != Runtime::Process || order.template.command.is_empty() {
        return Err(StartError::NoCommand);
    }
    let replica_id = order.replica_id;
    match inner.runs().entry(replica_id) {
        Entry::Occupied(slot) => return Err(StartError::StillRunning { run: slot.get().run() }),
        Entry::Vacant(slot) => slot.insert(Slot::Busy { run: order.run }),
    };
    let result = start_alone(inner, order).await;
    match &result {
        // Whatever holds it is watched from now on, so that its end is known.
        Err(StartError::StillRunning { run }) => {
            held::keep(inner, replica_id, *run, inner.dir(replica_id));
        }
        Err(_) => drop(inner.runs().remove(&replica_id)),
        Ok(_) => {}
    }
    result
}

/// Nobody else starts this replica meanwhile.
async fn start_alone(inner: &Arc<Inner>, start: StartOrder) -> Result<Started, StartError> {
    let program = start.template.command[0].clone();
    let failed = |error: io::Error| other(&program, "starting its shim", &error);
    let order = {
        let (inner, start) = (Arc::clone(inner), start);
        blocking(move || record(&inner, start)).await.map_err(failed)??
    };
    let dir = inner.dir(order.start.replica_id);
    let spawned = {
        let (inner, dir) = (Arc::clone(inner), dir.clone());
        blocking(move || spawn_shim(&inner, &dir)).await.map_err(failed)?
    };
    let error = match spawned {
        Ok(spawned) => match wait_for_program(inner, &order, &dir, spawned).await {
            Ok(started) => return Ok(started),
            Err(error) => error,
        },
        Err(error) => keep_error(&program, dir.path(), "starting its shim", &error),
    };
    {
        let (error, program) = (error.clone(), program.clone());
        let cleared = blocking(move || clear_failed(&order, &dir, error)).await;
        cleared.map_err(|error| other(&program, "clearing a failed start away", &error))?;
    }
    Err(error)
}

/// Puts the order on disk, unless it is there already.
fn record(inner: &Inner, start: StartOrder) -> Result<Order, StartError> {
    let program = start.template.command[0].clone();
    let dir = inner.dir(start.replica_id);
    let keep = |error: io::Error| keep_error(&program, dir.path(), "keeping its order", &error);
    let is_new = !dir.path().exists();
    let recorded = (|| {
        dir.create().map_err(keep)?;
        let Some(_lock) = dir.lock().map_err(keep)? else {
            return Err(StartError::StillRunning { run: dir.order().map_or(0, |order| order.start.run) });
        };
        if let Some(earlier) = dir.order()
            && earlier.start.run >= start.run
        {
            return Err(StartError::AlreadyStarted { run: start.run, recorded: earlier.start.run });
        }
        dir.reserve_end().map_err(keep)?;
        let order = order(inner, &dir, start);
        dir.write_order(&order).map_err(|error| {
            order.launch.cgroup.as_ref().map(crate::cgroup::ReplicaCgroup::remove);
            keep(error)
        })?;
        Ok(order)
    })();
    if recorded.is_err() && is_new {
        // Nothing was recorded, so nothing is lost, and a full disk gets its bytes back.
        drop(fs::remove_dir_all(dir.path()));
    }
    recorded
}

fn order(inner: &Inner, dir: &ReplicaDir, start: StartOrder) -> Order {
    let template = &start.template;
    let working_dir = template.working_dir.as_ref().map_or_else(|| dir.cwd(), PathBuf::from);
    let limits = CgroupLimits {
        cpu_millis: template.resources.cpu_millis.0,
        memory_mb: template.resources.memory_mb,
        pids: inner.config.pids,
    };
    let (cgroup, refused) = inner.config.cgroups.create(start.replica_id, limits);
    for why in refused {
        tracing::warn!(replica_id = %start.replica_id, "{why}");
    }
    let launch = Launch {
        program: template.command[0].clone(),
        args: template.command[1..].to_vec(),
        env: environment::of(&start, &inner.config.base_env, &working_dir),
        working_dir,
        cgroup,
        logs: inner.config.logs,
    };
    Order { start, launch }
}

fn spawn_shim(inner: &Inner, dir: &ReplicaDir) -> io::Result<Spawned> {
    let (stdout, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let errors = File::options().write(true).create(true).truncate(true).mode(0o600).open(dir.shim_errors())?;
    let mut command = Command::new(&inner.config.shim_program);
    command
        // What people see in a list of processes, whatever path it was found by.
        .arg0("fogline")
        .args(&inner.config.shim_args)
        .arg(dir.path())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::from(write))
        .stderr(Stdio::from(errors));
    sys::prepare_shim(&mut command, inner.config.open_files);
    let mut child = command
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", inner.config.shim_program.display())))?;
    let (shim, shim_fd) = identify(&child).inspect_err(|_| end_child(&mut child))?;
    Ok(Spawned { child, shim, shim_fd, stdout })
}

/// Its id stays its own until it is reaped, which only happens by the descriptor opened here, or by [`end_child`].
fn identify(child: &Child) -> io::Result<(ProcessIdentity, OwnedFd)> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("a process without an id"))?;
    let shim_fd = pidfd_open(pid, PidfdFlags::empty())?;
    let shim = ProcessIdentity::of(pid.as_raw_nonzero().get())
        .ok_or_else(|| io::Error::other("/proc cannot be read: is it mounted?"))?;
    Ok((shim, shim_fd))
}

/// Leaves no shim behind that nobody could watch. Its program dies with it.
fn end_child(child: &mut Child) {
    if let Err(error) = child.kill().and_then(|()| child.wait()) {
        tracing::error!(pid = child.id(), %error, "a shim that cannot be watched could not be ended");
    }
}

async fn wait_for_program(
    inner: &Arc<Inner>,
    order: &Order,
    dir: &ReplicaDir,
    mut spawned: Spawned,
) -> Result<Started, StartError> {
    let program = &order.launch.program;
    let (replica_id, run) = (order.start.replica_id, order.start.run);
    let failed = |error: io::Error| other(program, "watching its shim", &error);

    let shim_fd = match Pidfd::new(spawned.shim_fd) {
        Ok(shim_fd) => shim_fd,
        Err(error) => {
            let ended = blocking(move || end_child(&mut spawned.child)).await;
            return Err(failed(ended.err().unwrap_or(error)));
        }
    };
    let told = tokio::time::timeout(inner.config.start_deadline, until_closed(spawned.stdout)).await;
    match told {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            drop(shim_fd.send(Signal::KILL));
            shim_fd.until_ended().await;
            return Err(failed(error));
        }
        Err(_) => {
            drop(shim_fd.send(Signal::KILL));
            shim_fd.until_ended().await;
            return Err(StartError::TimedOut {
                program: program.clone(),
                deadline_s: inner.config.start_deadline.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX),
            });
        }
    }
    if let Some(child) = dir.state(run).and_then(|state| state.child) {
        let running = Arc::new(Running {
            replica_id,
            run,
            dir: dir.clone(),
            shim: spawned.shim,
            program: child,
            shim_fd,
            cgroup: order.launch.cgroup.clone(),
            usage: std::sync::Mutex::default(),
        });
        inner.runs().insert(replica_id, Slot::Running(Arc::clone(&running)));
        watch::spawn(inner, running);
        return Ok(Started::new(child.pid.to_string()));
    }
    let exit_code = shim_fd.until_ended().await;
    if let Some(Ended { exit: Exit { cause: ExitCause::NotStarted(error), .. }, .. }) = dir.ended(run) {
        return Err(error);
    }
    if exit_code == Some(shim::DISK_FULL) {
        return Err(StartError::DiskFull { program: program.clone(), path: dir.path().to_owned() });
    }
    let said = fs::read_to_string(dir.shim_errors()).unwrap_or_default();
    let how = exit_code.map_or_else(|| "it was killed".to_owned(), |code| format!("it exited with code {code}"));
    Err(other(program, "starting its shim", &format!("{how}. {}", said.trim())))
}

/// Until nobody has the other end open. What comes through means nothing.
async fn until_closed(stdout: OwnedFd) -> io::Result<()> {
    let mut stdout = Receiver::from_owned_fd(stdout)?;
    let mut ignored = [0; 256];
    while stdout.read(&mut ignored).await? > 0 {}
    Ok(())
}

/// Leaves nothing running, and on disk why the run was none.
fn clear_failed(order: &Order, dir: &ReplicaDir, error: StartError) {
    let run = order.start.run;
    let (replica_id, cgroup) = (order.start.replica_id, order.launch.cgroup.as_ref());
    leftovers::kill(replica_id, cgroup, dir.state(run).as_ref(), leftovers::Seen::ToEnd);
    if dir.ended(run).is_none() {
        let exit = Exit { code: None, message: error.to_string(), cause: ExitCause::NotStarted(error) };
        if let Err(error) = dir.write_ended(&Ended { run, boot_us: boot_us(), exit }) {
            tracing::warn!(replica_id = %order.start.replica_id, %error, "the failed start is not on disk");
        }
    }
}

fn other(program: &str, attempted: &str, reason: &dyn std::fmt::Display) -> StartError {
    StartError::Other { program: program.to_owned(), attempted: attempted.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_cannot_be_watched_is_ended_and_reaped() {
        let mut child = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("started");
        let (identity, _held) = identify(&child).expect("it is there");
        assert!(identity.is_alive());
        end_child(&mut child);
        assert!(!identity.is_alive());
        assert!(child.try_wait().expect("reaped").is_some(), "nothing is left to be waited for");
    }
}
