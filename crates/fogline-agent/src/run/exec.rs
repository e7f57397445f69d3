//! Runs commands in replicas for the leader that asks for it.
//!
//! Invariant: every request is answered once, unless its call ends before. Bounded: so many at once, each with a deadline
//! and a bound on its output.

use std::sync::Arc;

use fogline_api::protocol::{AgentMessage, ExecAnswer, ExecEnd, ExecOutput, ExecQuestion, FromAgent};
use tokio::sync::{Semaphore, mpsc};
use tracing::info;

use crate::driver::{Drivers, ExecError, ExecOrder, ExecOutcome};

/// So many commands run at once.
const AT_ONCE: usize = 16;

/// The commands that run.
#[derive(Debug)]
pub(super) struct Commands {
    slots: Arc<Semaphore>,
}

impl Default for Commands {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Commands {
    /// Runs it, and answers. What runs ends within its deadline, whoever still listens.
    pub fn run(&self, drivers: &Drivers, question: ExecQuestion, outbound: mpsc::Sender<AgentMessage>) {
        let (drivers, slot) = (drivers.clone(), Arc::clone(&self.slots).try_acquire_owned());
        tokio::spawn(async move {
            let ExecQuestion { request, replica_id, command, deadline, max_output } = question;
            let end = match slot {
                Ok(_slot) => {
                    info!(%replica_id, program = command.first(), "running a command in a replica");
                    end(drivers.exec(replica_id, &ExecOrder { command, deadline, max_output }).await)
                }
                Err(_) => ExecEnd::Failed(format!(
                    "{AT_ONCE} commands are being run by this agent already: try again when one has ended"
                )),
            };
            let _ = outbound.send((&FromAgent::ExecResult(ExecAnswer { request, end })).into()).await;
        });
    }
}

fn end(result: Result<ExecOutcome, ExecError>) -> ExecEnd {
    match result {
        Ok(ExecOutcome { exit_code, stdout, stderr, truncated }) => {
            ExecEnd::Exited(ExecOutput { exit_code, stdout, stderr, truncated })
        }
        Err(ExecError::NotRunning(_)) => ExecEnd::NotRunning,
        Err(error @ ExecError::TimedOut { .. }) => ExecEnd::TimedOut(error.to_string()),
        Err(error @ ExecError::Failed { .. }) => ExecEnd::Failed(error.to_string()),
    }
}
