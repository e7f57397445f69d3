//! The few calls that the compiler cannot check: signal handlers, and what happens between fork and exec.
//!
//! Must never allocate, lock or panic in a handler or between fork and exec. Everything else of the shim is safe code.
#![expect(unsafe_code, reason = "signal handlers, pre_exec, waitid with WNOWAIT and dup2 have no safe form here")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use libc::c_int;

/// Where the handlers write to; there is one shim a process.
static WAKE: AtomicI32 = AtomicI32::new(-1);
/// A SIGTERM has come. Kept beside the pipe, which may be full of children's ends just then.
static TERM: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(signal: c_int) {
    if signal == libc::SIGTERM {
        TERM.store(true, Ordering::SeqCst);
    }
    let wake = WAKE.load(Ordering::Relaxed);
    if wake >= 0 && (signal == libc::SIGTERM || signal == libc::SIGCHLD) {
        let byte = u8::try_from(signal).unwrap_or(0);
        // SAFETY: write and errno are async-signal-safe, and the byte lives on this stack. A full pipe loses nothing: there
        // is a wake-up in it already.
        unsafe {
            let errno = *libc::__errno_location();
            libc::write(wake, (&raw const byte).cast(), 1);
            *libc::__errno_location() = errno;
        }
    }
}

/// From now on SIGTERM and SIGCHLD put a byte into `wake`, which must not block; other signals that would end the shim do
/// nothing. Handlers, not SIG_IGN, so that exec sets them back for the program.
pub(super) fn catch_signals(wake: &OwnedFd) -> io::Result<()> {
    WAKE.store(wake.as_raw_fd(), Ordering::Relaxed);
    for signal in [
        libc::SIGTERM,
        libc::SIGCHLD,
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
    ] {
        // SAFETY: an all-zero sigaction is a valid value, and the handler is async-signal-safe.
        let set = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as extern "C" fn(c_int) as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(signal, &raw const action, std::ptr::null_mut())
        };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Whether a SIGTERM has come since the last question.
pub(super) fn take_term() -> bool {
    TERM.swap(false, Ordering::SeqCst)
}

/// The id of a child that has ended, which stays unreaped, so that nothing else can get its id.
pub(super) fn peek_ended_child() -> io::Result<Option<i32>> {
    // SAFETY: an all-zero siginfo is a valid value to be filled in, and si_pid is set by waitid.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        if libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) != 0 {
            return Err(io::Error::last_os_error());
        }
        let pid = info.si_pid();
        Ok((pid != 0).then_some(pid))
    }
}

/// Puts `replacement` in the place of standard output.
pub(super) fn replace_stdout(replacement: &OwnedFd) -> io::Result<()> {
    // SAFETY: both are open descriptors; standard output belongs to nobody else in a shim.
    if unsafe { libc::dup2(replacement.as_raw_fd(), libc::STDOUT_FILENO) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The program: dies with the shim, enters its cgroups, has every signal's default action and no descriptor but the
/// first three.
pub(super) fn prepare_program(command: &mut Command, cgroup_procs: Vec<OwnedFd>) {
    let shim = std::process::id();
    // SAFETY: only system calls on values made before the fork.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The shim may have died before it was set.
            if u32::try_from(libc::getppid()) != Ok(shim) {
                libc::_exit(128 + libc::SIGKILL);
            }
            for procs in &cgroup_procs {
                // "0" is the writer itself. A cgroup that cannot be entered limits nothing, and stops nothing.
                libc::write(procs.as_raw_fd(), c"0".as_ptr().cast(), 1);
            }
            default_signals();
            close_on_exec()
        });
    }
}

/// A command beside a replica's program: a session of its own in the replica's cgroups, and otherwise as the program.
pub(crate) fn prepare_beside(command: &mut Command, cgroup_procs: Vec<OwnedFd>, open_files: Option<u64>) {
    // SAFETY: only system calls on values made before the fork.
    unsafe {
        command.pre_exec(move || {
            if libc::setsid() < 0 {
                return Err(io::Error::last_os_error());
            }
            for procs in &cgroup_procs {
                // "0" is the writer itself. A cgroup that cannot be entered limits nothing, and stops nothing.
                libc::write(procs.as_raw_fd(), c"0".as_ptr().cast(), 1);
            }
            limit_files(open_files);
            default_signals();
            close_on_exec()
        });
    }
}

/// The shim: a session of its own before a signal to the agent's can reach it, and no descriptor but the first three. What
/// it may have open, its program may.
pub(crate) fn prepare_shim(command: &mut Command, open_files: Option<u64>) {
    // SAFETY: only system calls.
    unsafe {
        command.pre_exec(move || {
            if libc::setsid() < 0 {
                return Err(io::Error::last_os_error());
            }
            limit_files(open_files);
            default_signals();
            close_on_exec()
        });
    }
}

/// Programs of before the time of many files go through all that they may have, or cannot count so far. Whoever needs more
/// may raise it again.
fn limit_files(most: Option<u64>) {
    let Some(most) = most else { return };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both only look at the value on this stack. Should it not be set, the program may have more than it needs.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = most.min(limit.rlim_max);
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// What the agent's parent ignored, such as SIGHUP under nohup, is not inherited.
fn default_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        if signal != libc::SIGKILL && signal != libc::SIGSTOP {
            // SAFETY: sets a default action; for the few numbers that the C library keeps to itself it fails, harmlessly.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

/// Descriptors that somebody forgot to mark are marked: exec closes them. Kernels before 5.11 cannot, and then only
/// those that this program opened itself are closed.
fn close_on_exec() -> io::Result<()> {
    // SAFETY: closes nothing now, so no descriptor in use is lost.
    let marked = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if marked != 0 {
        let error = io::Error::last_os_error();
        if !matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) {
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    #[test]
    fn a_full_pipe_loses_no_sigterm() {
        let (_read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe");
        let mut write = std::fs::File::from(write);
        while write.write(&[0; 4_096]).is_ok() {}
        while write.write(&[0]).is_ok() {}
        WAKE.store(write.as_raw_fd(), Ordering::Relaxed);
        on_signal(libc::SIGCHLD);
        assert!(!take_term());
        on_signal(libc::SIGTERM);
        WAKE.store(-1, Ordering::Relaxed);
        assert!(take_term());
        assert!(!take_term(), "it is passed on once");
    }
}
