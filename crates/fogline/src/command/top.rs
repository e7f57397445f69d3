//! `fogline top`: deployments and their load, live on a terminal or once as a table.

use std::io::IsTerminal;

use clap::Args;

use crate::env::Environment;
use crate::exit::Outcome;
use crate::output::{Format, Table};
use crate::session::{ClientArgs, Session};
use crate::top::{self, Column, Snapshot};

/// Flags of `fogline top`.
#[derive(Debug, Args)]
#[command(after_help = "\
Keys: q ends it, the arrows up and down select a deployment, s and the arrows left and right choose what rows are ordered
by, r turns the order around.")]
pub struct TopArgs {
    /// Print it once and end, as when standard output is no terminal
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Shows it.
pub async fn run(args: TopArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let is_live = !args.once
        && session.output.format == Format::Table
        && std::io::stdout().is_terminal()
        && std::io::stdin().is_terminal();
    if is_live {
        return top::show(&session).await;
    }
    let mut snapshot = Snapshot::take(&session, None, usize::MAX).await?;
    snapshot.rows.sort_by(|one, other| Column::Name.order(one, other));
    session.output.print(&snapshot.rows, |paint| {
        let mut table = Table::new(paint, &Column::ALL.map(Column::title));
        for row in &snapshot.rows {
            table.row(&Column::ALL.map(|column| column.text(row)));
        }
        table.render("no deployments; `fogline apply -f FILE` creates one")
    })
}
