//! `fogline policy`: what scales by itself.
//!
//! A file a subcommand. Policies are named by name or id; an administrator, who sees everybody's, names one by its id
//! where several have the name.

mod apply;
mod delete;
mod evaluate;
mod list;
mod pause;
mod resume;
mod schedule;
mod show;

use clap::{Args, Subcommand};
use fogline_api::http::PolicyResponse;
use fogline_core::record::ScalingTarget;

use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::clean;
use crate::session::{ClientArgs, Session};

/// Flags of `fogline policy`.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Create or update policies from files
    Apply(apply::ApplyArgs),
    /// List policies
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show a policy as a file says it, ready to be applied again
    Show(OnePolicy),
    /// Remove policies; their targets keep the replicas that they have
    Delete(delete::DeleteArgs),
    /// Say what would be decided now, and why, without doing it
    Evaluate(evaluate::EvaluateArgs),
    /// Show what a policy's schedules will do next
    Schedule(schedule::ScheduleArgs),
    /// Have a policy do nothing for a while
    Pause(pause::PauseArgs),
    /// End a pause
    Resume(OnePolicy),
}

/// A policy and nothing else.
#[derive(Debug, Args)]
struct OnePolicy {
    /// Name or id of the policy
    policy: String,
    #[command(flatten)]
    client: ClientArgs,
}

/// Does what the subcommand says.
pub async fn run(args: PolicyArgs, environment: &Environment) -> Outcome {
    match args.command {
        PolicyCommand::Apply(args) => apply::run(args, environment).await,
        PolicyCommand::List(args) => list::run(args, environment).await,
        PolicyCommand::Show(args) => show::run(args, environment).await,
        PolicyCommand::Delete(args) => delete::run(args, environment).await,
        PolicyCommand::Evaluate(args) => evaluate::run(args, environment).await,
        PolicyCommand::Schedule(args) => schedule::run(args, environment).await,
        PolicyCommand::Pause(args) => pause::run(args, environment).await,
        PolicyCommand::Resume(args) => resume::run(args, environment).await,
    }
}

/// The policy that `wanted` names, by name or id.
async fn find(session: &Session, wanted: &str) -> Outcome<PolicyResponse> {
    let client = session.client().await?;
    if let Ok(id) = wanted.parse() {
        return Ok(client.policy(id).await?);
    }
    let mut found = client.all_policies(Some(wanted)).await?;
    if found.len() > 1 {
        let me = client.me().await?;
        let own = found.iter().position(|policy| policy.user_id == me.id);
        if let Some(own) = own {
            return Ok(found.swap_remove(own));
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Failure::new(
            Exit::NotFound,
            format!("there is no scaling policy {:?}, or it is not yours", clean(wanted)),
        )
        .hint("`fogline policy list` shows what there is")),
        _ => {
            let mut failure =
                Failure::new(Exit::Refused, format!("several users have a scaling policy {:?}", clean(wanted)));
            failure.causes = found.iter().map(|one| format!("{} of user {}", one.id, one.user_id)).collect();
            Err(failure.hint("name one by its id"))
        }
    }
}

/// What a policy is on, as its owner says it.
fn target(policy: &PolicyResponse) -> String {
    match (&policy.spec.target_id, &policy.resolved_target) {
        (Some(id), _) => format!("{} {id}", policy.spec.target_type),
        (None, ScalingTarget::Deployment(id)) => format!("{} {id}", policy.spec.target_type),
        (None, ScalingTarget::Outside { .. }) => policy.spec.target_type.clone(),
    }
}
