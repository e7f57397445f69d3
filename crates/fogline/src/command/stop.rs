//! `fogline stop`: no replicas, but not forgotten.

use clap::Args;

use super::apply::report;
use crate::env::Environment;
use crate::exit::Outcome;
use crate::progress::{Goal, WaitArgs};
use crate::session::{ClientArgs, Session};

/// Flags of `fogline stop`.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Name or id of the deployment
    deployment: String,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    client: ClientArgs,
}

/// Stops it.
pub async fn run(args: StopArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let id = session.find(&args.deployment).await?;
    let answer = session.changing_client().await?.stop(id).await?;
    report(&session, &args.deployment, answer, Some(Goal::Gone), args.wait).await
}
