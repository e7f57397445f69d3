//! `fogline why`: how the number of replicas came about.

use clap::Args;
use fogline_core::scaling::decision::Action;

use crate::chain;
use crate::env::Environment;
use crate::exit::Outcome;
use crate::output::{Format, clean, moment};
use crate::session::{ClientArgs, Session};

/// Flags of `fogline why`.
#[derive(Debug, Args)]
#[command(after_help = "Example: fogline why web -n 3")]
pub struct WhyArgs {
    /// Name or id of the deployment
    deployment: String,
    /// How many decisions, the newest first
    #[arg(short = 'n', long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=200))]
    count: u32,
    /// The same as `--output json`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Prints the latest decisions as readable chains.
pub async fn run(args: WhyArgs, environment: &Environment) -> Outcome {
    let mut session = Session::open(&args.client, environment)?;
    if args.json {
        session.output.format = Format::Json;
    }
    let id = session.find(&args.deployment).await?;
    let mut page = session.client().await?.decisions(id, args.count).await?;
    page.items.truncate(args.count as usize);
    let held = page.items.first().is_some_and(|newest| newest.decision.action == Action::Hold);
    // Of a count that is only held, what made it so is the better half of the answer.
    let change = match page.items.iter().any(|one| one.decision.action != Action::Hold) {
        false if held => session.client().await?.scaling_history(id, 1).await?.items.pop(),
        _ => None,
    };
    let name = args.deployment;
    session.output.print(&page.items, |paint| {
        let mut chains: Vec<String> = page.items.iter().map(|one| chain::kept(&name, one, paint)).collect();
        if chains.is_empty() {
            return format!(
                "{}: nothing was decided yet; `fogline policy list` shows whether a policy is on it, and a person's \
                 changes are in `fogline history`",
                paint.strong(&name)
            );
        }
        chains.extend(change.iter().map(|change| {
            let run = if change.dry_run { ", only recorded" } else { "" };
            format!("Last change, {}{run}: {}", moment(change.executed_at), clean(&change.reason))
        }));
        chains.join("\n\n")
    })
}
