//! A process that is held: it can be waited for and signalled, and cannot be exchanged for another with its id.
//!
//! Tests: `tests/it/driver.rs`.
#![expect(unsafe_code, reason = "tokio cannot check that a descriptor outlives its registration")]

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process descriptor that tasks can wait on.
#[derive(Debug)]
pub(super) struct Pidfd(AsyncFd<OwnedFd>);

impl Pidfd {
    /// Must be called within a runtime.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: an OwnedFd is always the same open descriptor until it is dropped, and AsyncFd, which owns it, takes
        // back its registration first.
        let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        registered.map(Self).map_err(|error| error.into_parts().1)
    }

    /// Until the process has ended. Its exit code, where it is a child of this one and was not killed; then it is reaped.
    pub(super) async fn until_ended(&self) -> Option<i32> {
        // It fails only when the runtime ends, and then nobody waits.
        drop(self.0.readable().await);
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        waitid(WaitId::PidFd(self.0.get_ref().as_fd()), options).ok().flatten()?.exit_status()
    }

    /// One that has ended has no need of a signal, so that is no error.
    pub(super) fn send(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(self.0.get_ref(), signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
