//! A command in a replica that runs: what is asked of a driver, what it answers, and the bound on its output.
//!
//! Invariant: a command that is answered with [`ExecError::TimedOut`] was killed, with what it has started, where the
//! agent can see its processes.

use std::time::Duration;

use fogline_core::id::ReplicaId;

/// The exit code of a command that is not there, as shells have it.
pub(super) const NOT_FOUND: i32 = 127;
/// The exit code of a command that may not be run, as shells have it.
pub(super) const NOT_RUNNABLE: i32 = 126;

/// What is to be run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExecOrder {
    /// Program and arguments. No shell looks at them.
    pub command: Vec<String>,
    /// How long it may take.
    pub deadline: Duration,
    /// How many bytes of output are kept, of both kinds together. What comes after them is read and dropped.
    pub max_output: usize,
}

/// What has come of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExecOutcome {
    /// Its exit code, 128 + signal where a signal ended it; 127 or 126 where it could not be run.
    pub exit_code: i32,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, or why it could not be run.
    pub stderr: Vec<u8>,
    /// Whether it wrote more than was kept.
    pub truncated: bool,
}

/// Why there is nothing to tell of it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExecError {
    /// Nothing to run it in.
    #[error("replica {0} does not run on this agent, so no command can be run in it")]
    NotRunning(ReplicaId),
    /// It took too long, and was killed where the agent can see its processes.
    #[error(
        "the command was still running after {deadline_s} s, and what the agent could see of it was killed; give it \
         more time or less to do"
    )]
    TimedOut {
        /// How long it had, rounded up.
        deadline_s: u64,
    },
    /// Anything else.
    #[error("cannot run the command: {reason}")]
    Failed {
        /// What the system or the engine says.
        reason: String,
    },
}

impl ExecError {
    pub(super) fn failed(reason: impl ToString) -> Self {
        Self::Failed { reason: reason.to_string() }
    }

    pub(super) const fn timed_out(order: &ExecOrder) -> Self {
        let deadline_s = order.deadline.as_secs() + if order.deadline.subsec_nanos() > 0 { 1 } else { 0 };
        Self::TimedOut { deadline_s }
    }
}

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Stdout,
    Stderr,
}

/// What was written so far.
#[derive(Debug)]
pub(super) struct Output {
    left: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    truncated: bool,
}

impl Output {
    pub const fn new(max_output: usize) -> Self {
        Self { left: max_output, stdout: Vec::new(), stderr: Vec::new(), truncated: false }
    }

    pub fn take(&mut self, kind: Kind, data: &[u8]) {
        let kept = &data[..data.len().min(self.left)];
        self.left -= kept.len();
        self.truncated |= kept.len() < data.len();
        match kind {
            Kind::Stdout => self.stdout.extend_from_slice(kept),
            Kind::Stderr => self.stderr.extend_from_slice(kept),
        }
    }

    pub fn end(self, exit_code: i32) -> ExecOutcome {
        ExecOutcome { exit_code, stdout: self.stdout, stderr: self.stderr, truncated: self.truncated }
    }
}

/// One that could not be run at all.
pub(super) fn not_run(exit_code: i32, why: &str) -> ExecOutcome {
    ExecOutcome { exit_code, stdout: Vec::new(), stderr: format!("{why}\n").into_bytes(), truncated: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_kept_up_to_the_bound_and_no_further() {
        let mut output = Output::new(5);
        output.take(Kind::Stdout, b"abc");
        output.take(Kind::Stderr, b"12");
        assert!(!output.truncated);
        output.take(Kind::Stdout, b"");
        assert!(!output.truncated, "nothing was dropped");
        output.take(Kind::Stdout, &[b'x'; 100_000]);
        let outcome = output.end(3);
        assert_eq!((outcome.exit_code, outcome.truncated), (3, true));
        assert_eq!((outcome.stdout.as_slice(), outcome.stderr.as_slice()), (&b"abc"[..], &b"12"[..]));
    }
}
