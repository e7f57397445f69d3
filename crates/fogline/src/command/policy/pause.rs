//! `fogline policy pause`.

use clap::Args;
use fogline_api::http::PausePolicyRequest;
use fogline_core::scaling::policy::Span;

use crate::env::Environment;
use crate::exit::Outcome;
use crate::output::moment;
use crate::session::{ClientArgs, Session};

/// Flags of `fogline policy pause`.
#[derive(Debug, Args)]
#[command(after_help = "Example: fogline policy pause web --for 2h")]
pub(super) struct PauseArgs {
    /// Name or id of the policy
    policy: String,
    /// How long, such as 30m or 2h; after that it goes on by itself
    #[arg(long = "for", value_name = "TIME", value_parser = Span::parse)]
    length: Span,
    #[command(flatten)]
    client: ClientArgs,
}

/// Pauses it.
pub(super) async fn run(args: PauseArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let policy = super::find(&session, &args.policy).await?;
    let request = PausePolicyRequest { length: Some(args.length), until: None };
    let policy = session.changing_client().await?.pause_policy(policy.id, &request).await?;
    session.output.print(&policy, |paint| {
        let until = policy.paused_until.map_or_else(|| "it goes on".to_owned(), moment);
        format!("{}: paused until {until}", paint.strong(&policy.spec.name))
    })
}
