//! Waiting for something to become true, and telling how far it is.
//!
//! Decides when a deployment is what was asked for. Must never wait without a deadline. Progress goes to standard error:
//! one moving line on a terminal, else one line a change.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use fogline_api::client::Client;
use fogline_api::http::{DeploymentResponse, ReplicaResponse};
use fogline_core::id::DeploymentId;
use fogline_core::state::{DeploymentStatus, ReplicaStatus};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::duration;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::clean;
use crate::output::say;
use crate::session::Session;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(150);

/// Whether and how long to wait.
#[derive(Clone, Copy, Debug, Args)]
pub struct WaitArgs {
    /// Wait until it is done; exit code 8 when it takes longer than --timeout
    #[arg(short, long)]
    pub wait: bool,
    /// How long to wait, such as 90s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "2m")]
    pub timeout: Duration,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    /// As many replicas of the newest revision are ready as were asked for, and no others are left.
    Ready,
    /// No replica is left.
    Gone,
}

/// One line that tells how far something is.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    last: String,
}

impl Progress {
    /// Starts telling.
    pub fn start() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, last: String::new() }
    }

    /// Tells, where it is news.
    pub fn tell(&mut self, line: &str) {
        if line == self.last {
            return;
        }
        self.last = line.to_owned();
        match &self.bar {
            Some(bar) => bar.set_message(clean(line).into_owned()),
            None => say!("{}", clean(line)),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Waits until a deployment has reached `goal`.
///
/// # Errors
/// When it fails, cannot get there, or takes longer than `timeout`; the failure tells what it was waiting for.
pub async fn wait_for(
    session: &Session,
    id: DeploymentId,
    goal: Goal,
    timeout: Duration,
) -> Outcome<DeploymentResponse> {
    let deadline = Instant::now() + timeout;
    let mut progress = Progress::start();
    loop {
        let seen = look(&session.client().await?, id, goal).await?;
        let (deployment, line) = match seen {
            Seen::Reached(deployment) => return Ok(*deployment),
            Seen::NotYet(deployment, line) => (deployment, line),
        };
        progress.tell(&line);
        if Instant::now() >= deadline {
            let failure =
                Failure::new(Exit::TimedOut, format!("{} was not done within {timeout:?}: {line}", deployment.name));
            return Err(failure.hint(format!(
                "nothing was undone: `fogline status {0}` and `fogline logs {0}` tell more, and --timeout waits longer",
                deployment.name
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

enum Seen {
    Reached(Box<DeploymentResponse>),
    NotYet(Box<DeploymentResponse>, String),
}

async fn look(client: &Client, id: DeploymentId, goal: Goal) -> Outcome<Seen> {
    let deployment = Box::new(client.deployment(id).await?);
    let health = deployment.health;
    match (goal, deployment.status) {
        (Goal::Ready, DeploymentStatus::Running)
            if health.ready == health.target && health.starting + health.stopping == 0 =>
        {
            let replicas = client.replicas(id, false).await?;
            let old = replicas.iter().filter(|replica| is_old(replica, deployment.revision)).count();
            if old == 0 {
                return Ok(Seen::Reached(deployment));
            }
            let line = format!("{}: {old} of {} replicas still of an older revision", deployment.name, replicas.len());
            Ok(Seen::NotYet(deployment, line))
        }
        (Goal::Ready, DeploymentStatus::Failed) => Err(failed(&deployment)),
        (Goal::Ready, DeploymentStatus::Stopped | DeploymentStatus::Deleted) => {
            Err(Failure::new(Exit::Refused, format!("{} is {} and will not run", deployment.name, deployment.status)))
        }
        (Goal::Gone, _) if health.running + health.starting + health.stopping == 0 => Ok(Seen::Reached(deployment)),
        (Goal::Ready, _) => {
            let mut line = format!(
                "{}: {}, {} of {} replicas ready",
                deployment.name, deployment.status, health.ready, health.target
            );
            if health.stopping > 0 {
                line.push_str(&format!(", {} stopping", health.stopping));
            }
            if let Some(trouble) = trouble(&client.replicas(id, false).await?) {
                line.push_str(&format!(" ({trouble})"));
            }
            Ok(Seen::NotYet(deployment, line))
        }
        (Goal::Gone, _) => {
            let left = health.running + health.starting + health.stopping;
            let line = format!("{}: {}, {left} replicas left", deployment.name, deployment.status);
            Ok(Seen::NotYet(deployment, line))
        }
    }
}

fn is_old(replica: &ReplicaResponse, revision: u32) -> bool {
    !replica.status.is_terminal() && replica.revision != revision
}

/// The newest thing that went wrong with a replica that is there.
fn trouble(replicas: &[ReplicaResponse]) -> Option<String> {
    replicas
        .iter()
        .filter(|replica| replica.status != ReplicaStatus::Stopping && !replica.ready)
        .rev()
        .find_map(|replica| replica.reason.clone().filter(|reason| !reason.is_empty()))
}

/// A deployment that could not be placed, as a failure.
pub fn failed(deployment: &DeploymentResponse) -> Failure {
    let reason = deployment.reason.clone().unwrap_or_else(|| "no reason was given".to_owned());
    let exit = if reason.starts_with("Insufficient") { Exit::Insufficient } else { Exit::Failure };
    Failure::new(exit, format!("{} has failed: {reason}", deployment.name)).hint(format!(
        "`fogline explain {0}` says why each node was turned away; `fogline start {0}` tries again",
        deployment.name
    ))
}
