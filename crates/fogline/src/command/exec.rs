//! `fogline exec`: runs a command in a replica, and ends with its exit code.
//!
//! Invariant: what the command wrote to standard output goes to standard output, and nothing else does.

use std::io::Write;

use clap::Args;
use fogline_api::http::{DEFAULT_EXEC_TIMEOUT_S, ExecCommandRequest, ReplicaResponse};
use fogline_core::state::ReplicaStatus;

use super::logs;
use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{LogCleaner, say, written};
use crate::session::{ClientArgs, Session};

/// Flags of `fogline exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Name or id of the deployment
    deployment: String,
    /// In this replica: its id, or the end of it; the oldest that runs when nothing is said
    #[arg(short, long, value_name = "ID")]
    replica: Option<String>,
    /// Seconds that the command may take; then it is killed
    #[arg(short, long, default_value_t = DEFAULT_EXEC_TIMEOUT_S, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=60))]
    timeout: u32,
    /// Print escape sequences as they are
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    client: ClientArgs,
    /// Program and arguments, behind --; no shell looks at them
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs it. Comes back only when there is no exit code to end with, or it is 0.
pub async fn run(args: ExecArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let id = session.find(&args.deployment).await?;
    let client = session.client().await?;
    let replicas = client.replicas(id, args.replica.is_some()).await?;
    let replica = match args.replica.as_deref() {
        Some(wanted) => logs::choose(replicas, Some(wanted))?.into_iter().next(),
        None => replicas.into_iter().find(runs),
    };
    let Some(replica) = replica else {
        return Err(Failure::new(Exit::Refused, format!("no replica of {} runs", args.deployment))
            .hint("`fogline status` shows how far they are"));
    };
    let request = ExecCommandRequest { command: args.command, timeout_s: args.timeout };
    let ended = client.exec(id, replica.id, &request).await?;
    let shown = |text: &str| {
        if args.raw {
            return text.to_owned();
        }
        let mut cleaner = LogCleaner::default();
        cleaner.push(text.as_bytes()) + cleaner.finish()
    };
    let mut out = std::io::stdout().lock();
    written(out.write_all(shown(&ended.stdout).as_bytes()).and_then(|()| out.flush()))?;
    // Nobody may be reading it, and the exit code says more.
    let _ = std::io::stderr().lock().write_all(shown(&ended.stderr).as_bytes());
    if ended.truncated {
        say!("more was written than the 1 MiB that is shown");
    }
    match ended.exit_code {
        0 => Ok(()),
        // As a shell has it, where a code does not fit into a byte.
        code => std::process::exit(code.clamp(1, 255)),
    }
}

const fn runs(replica: &ReplicaResponse) -> bool {
    matches!(replica.status, ReplicaStatus::Running)
}
