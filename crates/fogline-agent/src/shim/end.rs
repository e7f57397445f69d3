//! The end of a run: who is reaped when, and that nobody is left.
//!
//! Invariant: the program itself stays unreaped until its group was killed, so that the group's id is still its own.
//! Whatever it started is the shim's descendant and, once orphaned, its child: when there are no children any more,
//! nothing is left. Tests: `tests/it/driver.rs`.

use std::io;
use std::thread::sleep;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, getpid, kill_process_group, waitid};

use super::proc_stat::{self, kill_if};
use super::sys;
use crate::cgroup::ReplicaCgroup;
use crate::driver::{Exit, ExitCause};

/// Killed processes go within milliseconds, unless a disk or a network file system holds them: then the shim goes first.
const ROUND: Duration = Duration::from_millis(5);
const ROUNDS: u32 = 2_000;

/// Reaps all children that have ended but `program`. Whether that has ended, too.
pub(super) fn reap_orphans(program: Pid) -> io::Result<bool> {
    loop {
        match sys::peek_ended_child() {
            Ok(Some(pid)) if pid == program.as_raw_nonzero().get() => return Ok(true),
            Ok(Some(pid)) => reap(pid),
            Ok(None) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Kills everything that is left and reaps it, `program` first; it may still run. How it ended.
pub(super) fn reap_program(program: Pid, cgroup: Option<&ReplicaCgroup>) -> Option<WaitIdStatus> {
    let _ = kill_process_group(program, Signal::KILL);
    let status = loop {
        match waitid(WaitId::Pid(program), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            ended => break ended.ok().flatten(),
        }
    };
    for _ in 0..ROUNDS {
        if let Some(cgroup) = cgroup {
            cgroup.kill();
        }
        match sys::peek_ended_child() {
            // No children: nothing is left.
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return status,
            Ok(Some(pid)) => reap(pid),
            _ => {
                kill_children();
                sleep(ROUND);
            }
        }
    }
    eprintln!("fogline shim: some processes of the replica could not be killed within 10 s");
    status
}

fn kill_children() {
    let me = getpid().as_raw_nonzero().get();
    for child in proc_stat::all().unwrap_or_default() {
        if child.ppid == me && !child.is_dead() {
            kill_if(child.pid, Signal::KILL, |stat| stat.identity() == child.identity());
        }
    }
}

fn reap(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

/// The kernel lets go of a group shortly after its last process.
pub(super) fn remove_cgroup(cgroup: &ReplicaCgroup) {
    for _ in 0..20 {
        if cgroup.remove() {
            return;
        }
        sleep(ROUND);
    }
}

/// The same for people and programs.
pub(super) fn exit_of(status: Option<WaitIdStatus>, out_of_memory: bool, memory_mb: u32) -> Exit {
    let signal = status.as_ref().and_then(WaitIdStatus::terminating_signal);
    let code = status.as_ref().and_then(WaitIdStatus::exit_status);
    match (code, signal) {
        (_, Some(signal)) if out_of_memory && signal == libc::SIGKILL => Exit {
            code: Some(128 + signal),
            cause: ExitCause::OutOfMemory,
            message: format!("killed by the kernel: it needed more than its {memory_mb} MB of memory; raise `memory`"),
        },
        (_, Some(signal)) => Exit {
            code: Some(128 + signal),
            cause: ExitCause::Signalled,
            message: format!("ended by signal {signal}{}", signal_name(signal)),
        },
        (Some(code), None) => {
            Exit { code: Some(code), cause: ExitCause::Exited, message: format!("exited with code {code}") }
        }
        (None, None) => {
            Exit { code: None, cause: ExitCause::Exited, message: "ended, and the system does not tell how".to_owned() }
        }
    }
}

/// The name of a signal, in brackets, where it has one that people know.
pub(crate) fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGHUP => " (SIGHUP)",
        libc::SIGINT => " (SIGINT)",
        libc::SIGQUIT => " (SIGQUIT)",
        libc::SIGILL => " (SIGILL)",
        libc::SIGTRAP => " (SIGTRAP)",
        libc::SIGABRT => " (SIGABRT)",
        libc::SIGBUS => " (SIGBUS)",
        libc::SIGFPE => " (SIGFPE)",
        libc::SIGKILL => " (SIGKILL)",
        libc::SIGSEGV => " (SIGSEGV)",
        libc::SIGPIPE => " (SIGPIPE)",
        libc::SIGALRM => " (SIGALRM)",
        libc::SIGTERM => " (SIGTERM)",
        libc::SIGXCPU => " (SIGXCPU)",
        libc::SIGSYS => " (SIGSYS)",
        _ => "",
    }
}
