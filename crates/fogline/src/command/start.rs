//! `fogline start`: what was stopped, or could not be placed, is tried again.

use clap::Args;

use super::apply::report;
use crate::env::Environment;
use crate::exit::Outcome;
use crate::progress::{Goal, WaitArgs};
use crate::session::{ClientArgs, Session};

/// Flags of `fogline start`.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// Name or id of the deployment
    deployment: String,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    client: ClientArgs,
}

/// Starts it.
pub async fn run(args: StartArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let id = session.find(&args.deployment).await?;
    let answer = session.changing_client().await?.start(id).await?;
    report(&session, &args.deployment, answer, Some(Goal::Ready), args.wait).await
}
