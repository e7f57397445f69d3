//! `fogline policy resume`.

use super::OnePolicy;
use crate::env::Environment;
use crate::exit::Outcome;
use crate::session::Session;

/// Ends a pause.
pub(super) async fn run(args: OnePolicy, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let policy = super::find(&session, &args.policy).await?;
    let policy = session.changing_client().await?.resume_policy(policy.id).await?;
    session.output.print(&policy, |paint| format!("{}: goes on", paint.strong(&policy.spec.name)))
}
