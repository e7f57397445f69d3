//! Runs a command in a replica's container, through the engine.
//!
//! Engines know no deadline for a command, and none lets one be killed by its name: so each carries a mark in its
//! environment, and what carries it in that container is killed by the agent itself, which may do that where it runs as
//! root on the engine's machine. That is done at every end but a good one, once the engine was asked to run it. Must
//! never signal a process that does not carry the mark. Tests: `tests/it/driver`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use fogline_core::id::ReplicaId;
use futures_util::StreamExt;
use rustix::process::Signal;

use super::super::exec::{ExecError, ExecOrder, ExecOutcome, Kind, NOT_FOUND, NOT_RUNNABLE, Output, not_run};
use super::{EngineError, Failure, Inner, Slot, blocking};
use crate::clock::boot_us;
use crate::shim::proc_stat::{self, kill_if};

const MARK: &str = "FOGLINE_EXEC";
/// What is killed may fork meanwhile, and what was asked for may only be beginning.
const ROUNDS: u32 = 50;
const ROUND: Duration = Duration::from_millis(20);

static COUNT: AtomicU64 = AtomicU64::new(0);

pub(super) async fn run(
    inner: &Arc<Inner>,
    replica_id: ReplicaId,
    order: &ExecOrder,
) -> Result<ExecOutcome, ExecError> {
    let Some(Slot::Running { container, .. }) = inner.slot(replica_id) else {
        return Err(ExecError::NotRunning(replica_id));
    };
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mark = format!("{MARK}={replica_id}-{}-{}-{count}", std::process::id(), boot_us());
    let mut output = Output::new(order.max_output);
    let mut is_begun = false;
    let running = whole(inner, replica_id, &container, order, &mark, &mut output, &mut is_begun);
    let ended =
        tokio::time::timeout(order.deadline, running).await.unwrap_or_else(|_| Err(ExecError::timed_out(order)));
    match ended {
        Ok(Ended::With(exit_code)) => Ok(output.end(exit_code)),
        Ok(Ended::NotRun(outcome)) => Ok(outcome),
        Err(error) => {
            if is_begun {
                kill(&mark).await;
            }
            Err(error)
        }
    }
}

enum Ended {
    With(i32),
    NotRun(ExecOutcome),
}

/// `is_begun` is set before the engine is asked to run it: until then, nothing of it can be there.
async fn whole(
    inner: &Arc<Inner>,
    replica_id: ReplicaId,
    container: &str,
    order: &ExecOrder,
    mark: &str,
    output: &mut Output,
    is_begun: &mut bool,
) -> Result<Ended, ExecError> {
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(order.command.clone()),
        env: Some(vec![mark.to_owned()]),
        ..CreateExecOptions::default()
    };
    let made = inner
        .engine
        .once("preparing a command", |docker| async move { docker.create_exec(container, options).await })
        .await;
    let id = match made {
        Ok(made) => made.id,
        Err(error) if error.is_missing() || error.is_conflict() => return Err(ExecError::NotRunning(replica_id)),
        Err(error) => return refused(&order.command, &error),
    };
    *is_begun = true;
    // Not repeated: it would run twice.
    let started = inner
        .engine
        .once("running a command", |docker| {
            let id = id.clone();
            async move { docker.start_exec(&id, Some(StartExecOptions::default())).await }
        })
        .await;
    match started {
        Ok(StartExecResults::Attached { output: mut pieces, .. }) => {
            while let Some(piece) = pieces.next().await {
                match piece.map_err(ExecError::failed)? {
                    LogOutput::StdErr { message } => output.take(Kind::Stderr, &message),
                    LogOutput::StdOut { message } | LogOutput::Console { message } => {
                        output.take(Kind::Stdout, &message);
                    }
                    LogOutput::StdIn { .. } => {}
                }
            }
        }
        Ok(StartExecResults::Detached) => {}
        Err(error) if error.is_missing() || error.is_conflict() => return Err(ExecError::NotRunning(replica_id)),
        Err(error) => return refused(&order.command, &error),
    }
    // Its output ends a moment before its exit code is known.
    loop {
        let looked = inner
            .engine
            .again("asking how a command ended", |docker| {
                let id = id.clone();
                async move { docker.inspect_exec(&id).await }
            })
            .await
            .map_err(|error| ExecError::failed(&error))?;
        if let (Some(false) | None, Some(code)) = (looked.running, looked.exit_code) {
            return Ok(Ended::With(i32::try_from(code).unwrap_or(-1)));
        }
        tokio::time::sleep(ROUND).await;
    }
}

/// As a shell tells it, where it is the command's own fault.
fn refused(command: &[String], error: &EngineError) -> Result<Ended, ExecError> {
    let said = error.reason.to_lowercase();
    let program = command.first().map_or("", String::as_str);
    let words = format!("cannot run {program:?} in the container: {}", error.reason);
    match error.failure {
        Failure::Refused { .. } if said.contains("not found") || said.contains("no such file") => {
            Ok(Ended::NotRun(not_run(NOT_FOUND, &words)))
        }
        Failure::Refused { .. } if said.contains("permission denied") => {
            Ok(Ended::NotRun(not_run(NOT_RUNNABLE, &words)))
        }
        _ => Err(ExecError::failed(error)),
    }
}

/// Ends everything that carries the mark.
async fn kill(mark: &str) {
    let mark = mark.to_owned();
    let killed = blocking(move || {
        let mut killed = 0;
        for _ in 0..ROUNDS {
            let carriers = carriers(&mark);
            if carriers.is_empty() && killed > 0 {
                return killed;
            }
            for stat in carriers {
                killed += u32::from(kill_if(stat.pid, Signal::KILL, |now| now.identity() == stat.identity()));
            }
            std::thread::sleep(ROUND);
        }
        killed
    });
    if killed.await.is_ok_and(|killed| killed == 0) {
        tracing::warn!("nothing of a command was there to kill: it has ended, or the agent cannot see its processes");
    }
}

fn carriers(mark: &str) -> Vec<proc_stat::ProcStat> {
    let all = proc_stat::all().unwrap_or_default().into_iter().filter(|stat| !stat.is_dead());
    let carries = |pid: i32| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    all.filter(|stat| carries(stat.pid)).collect()
}
