//! `fogline policy schedule`: what comes next.

use clap::Args;
use fogline_core::scaling::TransitionKind;

use crate::env::Environment;
use crate::exit::Outcome;
use crate::output::{Table, moment};
use crate::session::{ClientArgs, Session};

/// Flags of `fogline policy schedule`.
#[derive(Debug, Args)]
pub(super) struct ScheduleArgs {
    /// Name or id of the policy
    policy: String,
    /// How many moments
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    count: u32,
    #[command(flatten)]
    client: ClientArgs,
}

/// Prints them.
pub(super) async fn run(args: ScheduleArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let policy = super::find(&session, &args.policy).await?;
    let answer = session.client().await?.policy_schedule(policy.id, args.count).await?;
    session.output.print(&answer, |paint| {
        let mut table = Table::new(paint, &["WHEN", "WHAT", "REPLICAS", "EXPRESSION", "TIME ZONE"]);
        for one in &answer.transitions {
            let what = match one.kind {
                TransitionKind::Set => "set",
                TransitionKind::Open => "window opens",
                TransitionKind::Close => "window closes",
            };
            let when = moment(one.at);
            let replicas = one.desired_replicas.to_string();
            table.row(&[&when, what, &replicas, &one.cron_expression, &one.timezone]);
        }
        table.render("the policy has no schedules that do anything any more")
    })
}
