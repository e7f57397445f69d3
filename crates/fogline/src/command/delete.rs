//! `fogline delete`: no replicas, and forgotten, but for its history.

use std::time::Duration;

use clap::Args;
use fogline_api::http::DeploymentResponse;
use fogline_core::state::DeploymentStatus;
use serde_json::json;

use crate::env::Environment;
use crate::exit::Outcome;
use crate::output::clean;
use crate::progress::{self, Goal, WaitArgs};
use crate::session::{ClientArgs, Session};

/// Flags of `fogline delete`.
#[derive(Debug, Args)]
#[command(after_help = "With --wait each is stopped first, and deleted once nothing of it runs.")]
pub struct DeleteArgs {
    /// Names or ids of the deployments
    #[arg(required = true)]
    deployments: Vec<String>,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    client: ClientArgs,
}

/// Deletes them. All are looked up first, so that a mistyped name deletes nothing.
pub async fn run(args: DeleteArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let mut wanted = Vec::with_capacity(args.deployments.len());
    for name in &args.deployments {
        wanted.push(session.client().await?.deployment(session.find(name).await?).await?);
    }
    for deployment in &wanted {
        if args.wait.wait {
            stop_first(&session, deployment, args.wait.timeout).await?;
        }
        session.changing_client().await?.delete(deployment.id).await?;
        session.output.remark(&format!("{}: deleted", clean(&deployment.name)))?;
    }
    let ids: Vec<_> = wanted.iter().map(|deployment| deployment.id).collect();
    session.output.print_for_programs(&json!({ "deleted": ids }))
}

/// Stops it and waits until its replicas are gone: of a deleted one nobody can ask any more.
async fn stop_first(session: &Session, deployment: &DeploymentResponse, timeout: Duration) -> Outcome {
    use DeploymentStatus::{Pending, Running, Scheduled};
    if matches!(deployment.status, Pending | Scheduled | Running) {
        session.changing_client().await?.stop(deployment.id).await?;
    }
    progress::wait_for(session, deployment.id, Goal::Gone, timeout).await.map(drop)
}
