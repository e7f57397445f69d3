//! Why a call did not come back with what was asked for.

use crate::http::{Problem, ProblemKind};

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// What was given as the server's address is none.
    #[error("{server:?} is no address of a server: {reason}")]
    Address {
        /// What was given.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The HTTP client cannot be set up, for example because an `https` server was named and the machine has no
    /// certificates.
    #[error("cannot set up the HTTP client: {}", root(.source))]
    Setup {
        /// The library's words.
        source: reqwest::Error,
    },
    /// No connection came about.
    #[error("cannot reach the server at {server}: {}", root(.source))]
    Unreachable {
        /// Where it was looked for.
        server: String,
        /// The library's words.
        source: reqwest::Error,
    },
    /// The connection broke, or the answer took too long. Whether a change was made is not known.
    #[error("the server at {server} did not answer: {}", root(.source))]
    Interrupted {
        /// Which server.
        server: String,
        /// The library's words.
        source: reqwest::Error,
    },
    /// The server understood and refused.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// Something answered that is not this API.
    #[error("{server} answered {status}, which is no answer of a Fogline server: {excerpt}")]
    Unexpected {
        /// Which server.
        server: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said, or what was wrong with it.
        excerpt: String,
    },
}

impl ClientError {
    /// The kind of problem, where the server told one that this version knows.
    #[must_use]
    pub fn kind(&self) -> Option<ProblemKind> {
        match self {
            Self::Problem(problem) => problem.known_kind(),
            _ => None,
        }
    }

    /// Whether nothing is known to be wrong with the request: another attempt may well succeed.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } => true,
            Self::Problem(_) => matches!(
                self.kind(),
                Some(
                    ProblemKind::Busy
                        | ProblemKind::OutcomeUnknown
                        | ProblemKind::NotLeader
                        | ProblemKind::Unavailable
                        | ProblemKind::TimedOut
                        | ProblemKind::TooManyRequests
                )
            ),
            Self::Address { .. } | Self::Setup { .. } | Self::Unexpected { .. } => false,
        }
    }
}

/// The innermost cause, which is the one that says something: `Connection refused`, not `error sending request`.
fn root(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
