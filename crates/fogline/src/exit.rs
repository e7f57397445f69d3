//! The exit codes, and the one error type that carries them out of the program.
//!
//! Decides: which code a failure has and how it is printed. Must never print a Rust debug dump: a failure is text that
//! says what was attempted, why it failed and what to do next. Tests: `tests/it/exit_codes.rs`.

use std::fmt;
use std::process::ExitCode;

/// What `fogline --help` says about exit codes.
pub const HELP: &str = "\
Exit codes:
  0  success
  1  failure without a code of its own
  2  wrong usage: unknown command or flag, bad value
  3  not found, or not yours
  4  refused: invalid spec, wrong state, name taken, not permitted, quota
  5  not enough capacity on the nodes
  6  not logged in, or the login has expired
  7  the server cannot be reached, or cannot start
  8  timed out while waiting";

/// How a run of the program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Something without a code of its own.
    Failure = 1,
    /// The command line makes no sense; clap uses this code as well.
    Usage = 2,
    /// The object is not there.
    NotFound = 3,
    /// The request was understood and refused.
    Refused = 4,
    /// It does not fit on the nodes.
    Insufficient = 5,
    /// No valid login.
    Unauthenticated = 6,
    /// No server answers, or ours cannot come up.
    Unavailable = 7,
    /// What was waited for did not happen in time.
    TimedOut = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed, in words for the person who typed it.
#[derive(Debug)]
pub struct Failure {
    /// The code the program ends with.
    pub exit: Exit,
    /// What was attempted and why it failed, in one or two lines.
    pub message: String,
    /// What lies beneath: the operating system's words, fields at fault, one a line.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What a command returns.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with this code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// A failure without a code of its own.
    pub fn general(message: impl Into<String>) -> Self {
        Self::new(Exit::Failure, message)
    }

    /// Adds what lies beneath.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for cause in &self.causes {
            for (index, line) in cause.lines().enumerate() {
                write!(f, "\n  {}{line}", if index == 0 { "" } else { "  " })?;
            }
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n\nhint: {hint}")?;
        }
        Ok(())
    }
}
