//! How a container ended, in words.
//!
//! Engines tell a code, 128 + signal where a signal ended the first process, and whether the kernel ran out of the
//! container's memory. A program that ends with such a code by itself cannot be told from one that a signal ended.
//! Tests: below.

use super::super::{Exit, ExitCause};
use super::look::{Phase, State};
use crate::shim::signal_name;

/// How far a container is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// It was made, and never ran.
    Made,
    /// It runs, or is stopped in the middle.
    Runs,
    /// It ran.
    Ended(Exit),
}

/// How far it is, from what the engine tells.
pub(super) fn stage(state: &State, memory_mb: u32) -> Stage {
    let is_running =
        state.running.unwrap_or(false) || state.paused.unwrap_or(false) || state.restarting.unwrap_or(false);
    // Engines write year 1 where there is no time.
    let has_run = state.started_at.as_ref().is_some_and(|at| !at.is_empty() && !at.starts_with("0001-"));
    match state.status {
        _ if is_running => Stage::Runs,
        phase if phase.may_run() => Stage::Runs,
        Phase::Made if !has_run => Stage::Made,
        _ if !has_run && state.exit_code.unwrap_or(0) == 0 => Stage::Made,
        _ => Stage::Ended(exit(state, memory_mb)),
    }
}

fn exit(state: &State, memory_mb: u32) -> Exit {
    let code = state.exit_code.and_then(|code| i32::try_from(code).ok());
    let said = state.error.as_deref().map(str::trim).filter(|said| !said.is_empty());
    match code {
        Some(code) if code != 0 && state.oom_killed.unwrap_or(false) => Exit {
            code: Some(code),
            cause: ExitCause::OutOfMemory,
            message: format!("killed by the kernel: it needed more than its {memory_mb} MB of memory; raise `memory`"),
        },
        Some(code) if (129..=192).contains(&code) => Exit {
            code: Some(code),
            cause: ExitCause::Signalled,
            message: format!("ended by signal {}{}", code - 128, signal_name(code - 128)),
        },
        // What the engine's init ends with, and shells as well.
        Some(code @ (126 | 127)) => Exit {
            code: Some(code),
            cause: ExitCause::Exited,
            message: format!(
                "exited with code {code}: there is no such program in the image or it may not be run, if it is not the \
                 program itself that says so; its output tells"
            ),
        },
        Some(code) => Exit {
            code: Some(code),
            cause: ExitCause::Exited,
            message: said.map_or(format!("exited with code {code}"), |said| format!("exited with code {code}: {said}")),
        },
        None => Exit {
            code: None,
            cause: ExitCause::Exited,
            message: "ended, and the container engine does not tell how".to_owned(),
        },
    }
}

/// The end of a run whose container somebody else has removed.
pub(super) fn removed() -> Exit {
    Exit {
        code: None,
        cause: ExitCause::Removed,
        message: "its container is gone: somebody has removed it, or the engine has lost it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: Phase, code: i64, oom_killed: bool) -> State {
        State {
            status,
            running: Some(status == Phase::Runs),
            exit_code: Some(code),
            oom_killed: Some(oom_killed),
            started_at: Some("2026-11-21T10:00:00Z".to_owned()),
            ..State::default()
        }
    }

    #[test]
    fn codes_signals_and_memory_are_told_apart() {
        let table = [
            (state(Phase::Over, 0, false), Some(0), ExitCause::Exited, "exited with code 0"),
            (state(Phase::Over, 7, false), Some(7), ExitCause::Exited, "exited with code 7"),
            (state(Phase::Over, 143, false), Some(143), ExitCause::Signalled, "ended by signal 15 (SIGTERM)"),
            (state(Phase::Over, 137, false), Some(137), ExitCause::Signalled, "ended by signal 9 (SIGKILL)"),
            // It was a child that the kernel killed, and the program went on and ended well.
            (state(Phase::Over, 0, true), Some(0), ExitCause::Exited, "exited with code 0"),
        ];
        for (state, code, cause, message) in table {
            let expected = Exit { code, cause, message: message.to_owned() };
            assert_eq!(stage(&state, 64), Stage::Ended(expected));
        }
        let Stage::Ended(exit) = stage(&state(Phase::Over, 137, true), 64) else { panic!("it has ended") };
        assert!(exit.cause == ExitCause::OutOfMemory && exit.message.contains("64 MB"), "{exit:?}");
    }

    #[test]
    fn what_never_ran_is_told_from_what_ended() {
        let never = State { started_at: Some("0001-01-01T00:00:00Z".to_owned()), ..state(Phase::Made, 0, false) };
        assert_eq!(stage(&never, 64), Stage::Made);
        assert_eq!(stage(&state(Phase::Runs, 0, false), 64), Stage::Runs);
        let paused = State { paused: Some(true), running: Some(false), ..state(Phase::Runs, 0, false) };
        assert_eq!(stage(&paused, 64), Stage::Runs);
        // Podman says so while it stops one, and that it does not run.
        let stopping = State { running: Some(false), ..state(Phase::Runs, 0, false) };
        assert_eq!(stage(&stopping, 64), Stage::Runs);
        assert_eq!(stage(&state(Phase::Unknown, 0, false), 64), Stage::Runs, "it may");
    }
}
