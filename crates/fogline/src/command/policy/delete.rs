//! `fogline policy delete`.

use clap::Args;
use serde_json::json;

use crate::env::Environment;
use crate::exit::Outcome;
use crate::output::clean;
use crate::session::{ClientArgs, Session};

/// Flags of `fogline policy delete`.
#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// Names or ids of the policies
    #[arg(required = true)]
    policies: Vec<String>,
    #[command(flatten)]
    client: ClientArgs,
}

/// Deletes them. All are looked up first, so that a mistyped name deletes nothing.
pub(super) async fn run(args: DeleteArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let mut wanted = Vec::with_capacity(args.policies.len());
    for name in &args.policies {
        wanted.push(super::find(&session, name).await?);
    }
    for policy in &wanted {
        session.changing_client().await?.delete_policy(policy.id).await?;
        session.output.remark(&format!("{}: deleted", clean(&policy.spec.name)))?;
    }
    let ids: Vec<_> = wanted.iter().map(|policy| policy.id).collect();
    session.output.print_for_programs(&json!({ "deleted": ids }))
}
