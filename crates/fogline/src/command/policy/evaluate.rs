//! `fogline policy evaluate`: what would be decided now, without doing it.

use std::path::PathBuf;

use clap::Args;

use crate::backtest::load_policy;
use crate::chain;
use crate::env::Environment;
use crate::exit::Outcome;
use crate::session::{ClientArgs, Session};

/// Flags of `fogline policy evaluate`.
#[derive(Debug, Args)]
#[command(after_help = "Example: fogline policy evaluate web -f changed.yaml")]
pub(super) struct EvaluateArgs {
    /// Name or id of the policy
    policy: String,
    /// Put this policy in its place; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    client: ClientArgs,
}

/// Prints the decision.
pub(super) async fn run(args: EvaluateArgs, environment: &Environment) -> Outcome {
    let draft = args.file.as_deref().map(load_policy).transpose()?;
    let session = Session::open(&args.client, environment)?;
    let policy = super::find(&session, &args.policy).await?;
    let draft = draft.as_ref().map(|draft| draft.spec());
    let answer = session.client().await?.evaluate_policy(policy.id, draft).await?;
    session.output.print(&answer, |paint| {
        format!("{}\n\nNothing was changed.", chain::told(&policy.spec.name, &answer.decision, paint))
    })
}
