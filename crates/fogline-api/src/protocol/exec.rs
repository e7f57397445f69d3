//! A command in a replica, on the wire.
//!
//! Invariant: what an agent answers fits into what was asked for at most ([`MAX_EXEC_OUTPUT_BYTES`]); more is refused, so
//! that no agent can fill a server's memory with it.

use std::time::Duration;

use fogline_core::id::ReplicaId;

use super::field::{self, MAX_REPORT_TEXT_BYTES, WireError};
use super::generated as wire;

/// The most output that is sent, of both kinds together.
pub const MAX_EXEC_OUTPUT_BYTES: usize = 1_024 * 1_024;
/// The longest that a command may take.
pub const MAX_EXEC_TIME: Duration = Duration::from_secs(60);

/// The content of `ExecRequest`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as in agent.proto")]
pub struct ExecQuestion {
    pub request: u64,
    pub replica_id: ReplicaId,
    pub command: Vec<String>,
    pub deadline: Duration,
    pub max_output: usize,
}

/// The content of `ExecResult`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExecAnswer {
    /// Which question.
    pub request: u64,
    /// What has come of it.
    pub end: ExecEnd,
}

/// What has come of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExecEnd {
    /// It has ended.
    Exited(ExecOutput),
    /// The replica does not run.
    NotRunning,
    /// It took too long, and was killed where the agent can see its processes; in words.
    TimedOut(String),
    /// Anything else; in words.
    Failed(String),
}

/// What a command has left.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as in agent.proto")]
pub struct ExecOutput {
    pub exit_code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub truncated: bool,
}

impl From<&ExecQuestion> for wire::ExecRequest {
    fn from(question: &ExecQuestion) -> Self {
        Self {
            request: question.request,
            replica_id: question.replica_id.to_string(),
            command: question.command.clone(),
            deadline_ms: u32::try_from(question.deadline.as_millis()).unwrap_or(u32::MAX),
            max_output: u32::try_from(question.max_output).unwrap_or(u32::MAX),
        }
    }
}

impl TryFrom<wire::ExecRequest> for ExecQuestion {
    type Error = WireError;

    fn try_from(request: wire::ExecRequest) -> Result<Self, WireError> {
        let deadline = Duration::from_millis(request.deadline_ms.into());
        if deadline.is_zero() || deadline > MAX_EXEC_TIME {
            let value = request.deadline_ms.to_string();
            return Err(WireError::OutOfRange { field: "exec_request.deadline_ms", value, accepted: "1 to 60000" });
        }
        let max_output = usize::try_from(request.max_output).unwrap_or(usize::MAX);
        if max_output > MAX_EXEC_OUTPUT_BYTES {
            let value = max_output.to_string();
            return Err(WireError::OutOfRange { field: "exec_request.max_output", value, accepted: "0 to 1048576" });
        }
        if request.command.is_empty() {
            return Err(WireError::Missing { field: "exec_request.command" });
        }
        Ok(Self {
            request: request.request,
            replica_id: field::id("exec_request.replica_id", &request.replica_id)?,
            command: request.command,
            deadline,
            max_output,
        })
    }
}

impl From<&ExecAnswer> for wire::ExecResult {
    fn from(answer: &ExecAnswer) -> Self {
        let ended = |end: wire::ExecEnd, error: &str| Self {
            request: answer.request,
            end: end.into(),
            error: field::cut(error).to_owned(),
            ..Self::default()
        };
        match &answer.end {
            ExecEnd::Exited(output) => Self {
                exit_code: output.exit_code,
                stdout: output.stdout.clone(),
                stderr: output.stderr.clone(),
                truncated: output.truncated,
                ..ended(wire::ExecEnd::Exited, "")
            },
            ExecEnd::NotRunning => ended(wire::ExecEnd::NotRunning, ""),
            ExecEnd::TimedOut(why) => ended(wire::ExecEnd::TimedOut, why),
            ExecEnd::Failed(why) => ended(wire::ExecEnd::Failed, why),
        }
    }
}

impl TryFrom<wire::ExecResult> for ExecAnswer {
    type Error = WireError;

    fn try_from(result: wire::ExecResult) -> Result<Self, WireError> {
        if result.stdout.len().saturating_add(result.stderr.len()) > MAX_EXEC_OUTPUT_BYTES {
            let value = format!("{} and {} bytes long", result.stdout.len(), result.stderr.len());
            return Err(WireError::OutOfRange {
                field: "exec_result.stdout",
                value,
                accepted: "at most 1048576 bytes",
            });
        }
        if result.error.len() > MAX_REPORT_TEXT_BYTES {
            let value = format!("{} bytes long", result.error.len());
            return Err(WireError::OutOfRange { field: "exec_result.error", value, accepted: "at most 4096 bytes" });
        }
        let end = match wire::ExecEnd::try_from(result.end) {
            Ok(wire::ExecEnd::Exited) => ExecEnd::Exited(ExecOutput {
                exit_code: result.exit_code,
                stdout: result.stdout,
                stderr: result.stderr,
                truncated: result.truncated,
            }),
            Ok(wire::ExecEnd::NotRunning) => ExecEnd::NotRunning,
            Ok(wire::ExecEnd::TimedOut) => ExecEnd::TimedOut(result.error),
            Ok(wire::ExecEnd::Failed) => ExecEnd::Failed(result.error),
            Ok(wire::ExecEnd::Unspecified) | Err(_) => {
                return Err(WireError::UnknownValue { field: "exec_result.end", value: result.end });
            }
        };
        Ok(Self { request: result.request, end })
    }
}

#[cfg(test)]
mod tests {
    use fogline_core::id::IdSource;
    use fogline_core::time::Timestamp;

    use super::*;

    fn question() -> ExecQuestion {
        ExecQuestion {
            request: 7,
            replica_id: IdSource::new(1).next(Timestamp::from_micros(1_000_000)),
            command: vec!["cat".to_owned(), "/etc/hostname".to_owned()],
            deadline: Duration::from_millis(1_500),
            max_output: 10,
        }
    }

    fn output() -> ExecOutput {
        ExecOutput { exit_code: 3, stdout: vec![0, 255], stderr: b"no".to_vec(), truncated: true }
    }

    #[test]
    fn both_come_back_as_they_were() {
        assert_eq!(ExecQuestion::try_from(wire::ExecRequest::from(&question())), Ok(question()));
        for end in [
            ExecEnd::Exited(output()),
            ExecEnd::NotRunning,
            ExecEnd::TimedOut("after 1 s".to_owned()),
            ExecEnd::Failed("why".to_owned()),
        ] {
            let sent = ExecAnswer { request: 9, end };
            assert_eq!(ExecAnswer::try_from(wire::ExecResult::from(&sent)), Ok(sent));
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let good = wire::ExecRequest::from(&question());
        for broken in [
            wire::ExecRequest { deadline_ms: 0, ..good.clone() },
            wire::ExecRequest { deadline_ms: 60_001, ..good.clone() },
            wire::ExecRequest { max_output: 1_048_577, ..good.clone() },
            wire::ExecRequest { command: Vec::new(), ..good.clone() },
            wire::ExecRequest { replica_id: "x".to_owned(), ..good },
        ] {
            assert!(ExecQuestion::try_from(broken.clone()).is_err(), "{broken:?}");
        }
        let good = wire::ExecResult::from(&ExecAnswer { request: 9, end: ExecEnd::Exited(output()) });
        let half = vec![0; MAX_EXEC_OUTPUT_BYTES / 2 + 1];
        for broken in [
            wire::ExecResult { end: 0, ..good.clone() },
            wire::ExecResult { end: 77, ..good.clone() },
            wire::ExecResult { error: "x".repeat(5_000), ..good.clone() },
            wire::ExecResult { stdout: half.clone(), stderr: half, ..good },
        ] {
            assert!(ExecAnswer::try_from(broken).is_err());
        }
    }
}
