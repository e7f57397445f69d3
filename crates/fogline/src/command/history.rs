//! `fogline history`: the trail of a deployment's status.

use clap::Args;

use crate::env::Environment;
use crate::exit::Outcome;
use crate::output::{Table, moment};
use crate::session::{ClientArgs, Session};

/// Flags of `fogline history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Name or id of the deployment
    deployment: String,
    #[command(flatten)]
    client: ClientArgs,
}

/// Prints it, oldest first.
pub async fn run(args: HistoryArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let id = session.find(&args.deployment).await?;
    let client = session.client().await?;
    let history = client.all_history(id).await?;
    let me = client.me().await?;
    session.output.print(&history, |paint| {
        let mut table = Table::new(paint, &["#", "WHEN", "FROM", "TO", "BY", "REASON"]);
        for line in &history {
            table.row(&[
                line.seq.to_string(),
                moment(line.changed_at),
                line.old_status.clone(),
                line.new_status.clone(),
                match line.changed_by {
                    None => "fogline".to_owned(),
                    Some(user) if user == me.id => me.username.clone(),
                    Some(user) => user.to_string(),
                },
                line.reason.clone(),
            ]);
        }
        table.render("no history")
    })
}
