//! `fogline scale`: how many replicas.

use clap::Args;

use super::apply::report;
use crate::env::Environment;
use crate::exit::Outcome;
use crate::progress::{Goal, WaitArgs};
use crate::session::{ClientArgs, Session};

/// Flags of `fogline scale`.
#[derive(Debug, Args)]
pub struct ScaleArgs {
    /// Name or id of the deployment
    deployment: String,
    /// How many replicas from now on, 1 to 100
    #[arg(allow_negative_numbers = true)]
    replicas: i64,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    client: ClientArgs,
}

/// Scales it.
pub async fn run(args: ScaleArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let id = session.find(&args.deployment).await?;
    let answer = session.changing_client().await?.scale(id, args.replicas).await?;
    report(&session, &args.deployment, answer, Some(Goal::Ready), args.wait).await
}
