//! `fogline shim DIR`: the small process that stands between the agent and one run of one replica.
//!
//! It lives as long as the replica, not as long as the agent: it owns the replica's output, reaps what is orphaned,
//! passes SIGTERM on, and writes down who runs and how it ended. Single-threaded, without a runtime, and started anew
//! for each run. Must never decide whether the replica should run. Invariants: `state.json` names the shim before the
//! program exists; a run that is on disk is never begun again; when `exit.json` appears, nothing of the run is left.
//! Tests: `tests/it/driver.rs`.

mod end;
mod output;
pub mod proc_stat;
pub(crate) mod program;
pub mod replica_dir;
pub(crate) mod sys;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, getpid, kill_process_group, set_child_subreaper, setsid};

pub(crate) use end::signal_name;

use crate::clock::boot_us;
use crate::driver::{Exit, ExitCause, StartError};
use output::Output;
use proc_stat::ProcessIdentity;
use replica_dir::{Ended, Order, ReplicaDir, State};

/// The shim's exit code when the end of the run is in `exit.json`.
pub const TOLD: i32 = 0;
/// The shim's exit code when it could not begin, for a full disk: then it can leave nothing else behind.
pub const DISK_FULL: i32 = 28;
/// The shim's exit code when it could not begin or could not tell the end; why is on its standard error.
pub const FAILED: i32 = 1;

/// Runs what `dir` orders, to its end. The result is the exit code of the process, which has nothing else to do.
///
/// To be called before any thread is started. Standard output is closed once the program runs, or cannot be run.
#[must_use]
pub fn run(dir: &Path) -> i32 {
    match supervise(&ReplicaDir::at(dir.to_owned())) {
        Ok(()) => TOLD,
        Err(error) => {
            eprintln!("fogline shim {}: {error}", dir.display());
            if error.kind() == io::ErrorKind::StorageFull { DISK_FULL } else { FAILED }
        }
    }
}

fn supervise(dir: &ReplicaDir) -> io::Result<()> {
    stand_alone()?;
    let Some(_lock) = dir.lock()? else {
        return Err(io::Error::other("another shim runs this replica"));
    };
    let order = dir.order().ok_or_else(|| io::Error::other("order.json is not there or not whole"))?;
    let run = order.start.run;
    if dir.state(run).is_some() || dir.ended(run).is_some() {
        return Err(io::Error::other(format!("run {run} was begun before, and a run is begun once")));
    }
    let signals = catch_signals()?;
    let me = ProcessIdentity::of(getpid().as_raw_nonzero().get())
        .ok_or_else(|| io::Error::other("/proc/self/stat cannot be read: is /proc mounted?"))?;
    let mut state = State { run, boot_id: proc_stat::boot_id(), shim: me, child: None };
    dir.write_state(&state)?;

    let exit = match program::spawn(&order.launch) {
        Ok((pid, output)) => {
            state.child = ProcessIdentity::of(pid.as_raw_nonzero().get());
            match dir.write_state(&state) {
                Ok(()) => {
                    sys::replace_stdout(&File::options().write(true).open("/dev/null")?.into())?;
                    watch(&order, dir, pid, output, signals)?
                }
                Err(error) => {
                    end::reap_program(pid, order.launch.cgroup.as_ref());
                    not_started(program::cannot_keep_state(&order.launch, dir, &error))
                }
            }
        }
        Err(error) => not_started(error),
    };
    if let Some(cgroup) = &order.launch.cgroup {
        end::remove_cgroup(cgroup);
    }
    dir.write_ended(&Ended { run, boot_us: boot_us(), exit })
}

/// Nothing that happens to the agent, its terminal or its working directory reaches the shim.
fn stand_alone() -> io::Result<()> {
    // The agent has made it a session of its own already; by hand it may not be one.
    let _ = setsid();
    set_child_subreaper(Some(getpid()))?;
    let _ = rustix::thread::set_name(c"fogline-shim");
    std::env::set_current_dir("/")
}

fn catch_signals() -> io::Result<File> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    sys::catch_signals(&write)?;
    // The handlers use it until the process ends.
    std::mem::forget(write);
    Ok(File::from(read))
}

/// From the program's start to when nothing of it is left.
fn watch(order: &Order, dir: &ReplicaDir, program: Pid, output: OwnedFd, mut signals: File) -> io::Result<Exit> {
    let cgroup = order.launch.cgroup.as_ref();
    let oom_kills_before = cgroup.map_or(0, crate::cgroup::ReplicaCgroup::oom_kills);
    let mut output = Output::new(output, dir.logs(), order.launch.logs)?;
    loop {
        let (said, signalled) = wait(&output, &signals)?;
        if said {
            output.take();
        }
        if signalled {
            // Before the question: a signal that comes in between wakes it up once more.
            let _ = signals.read(&mut [0; 64]);
            if sys::take_term() {
                let _ = kill_process_group(program, Signal::TERM);
            }
            if end::reap_orphans(program)? {
                break;
            }
        }
    }
    let status = end::reap_program(program, cgroup);
    output.drain();
    let out_of_memory = cgroup.map_or(0, crate::cgroup::ReplicaCgroup::oom_kills) > oom_kills_before;
    Ok(end::exit_of(status, out_of_memory, order.start.template.resources.memory_mb))
}

/// Waits for output, a signal, or both.
fn wait(output: &Output, signals: &File) -> io::Result<(bool, bool)> {
    loop {
        let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
        fds.extend(output.pipe().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) => {
                let is_ready = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
                return Ok((is_ready(1), is_ready(0)));
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn not_started(error: StartError) -> Exit {
    Exit { code: None, message: error.to_string(), cause: ExitCause::NotStarted(error) }
}
