//! `fogline list`: the deployments that one may see.

use clap::Args;
use fogline_api::client::DeploymentQuery;
use fogline_core::state::DeploymentStatus;

use crate::env::Environment;
use crate::exit::Outcome;
use crate::output::{Table, age};
use crate::session::{ClientArgs, Session};

/// Flags of `fogline list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only those in this status: pending, scheduled, running, stopped, failed
    #[arg(long, value_parser = parse_status)]
    status: Option<DeploymentStatus>,
    /// Deleted ones, too
    #[arg(long)]
    deleted: bool,
    #[command(flatten)]
    client: ClientArgs,
}

fn parse_status(word: &str) -> Result<DeploymentStatus, String> {
    let words = || DeploymentStatus::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ");
    word.parse().map_err(|_| format!("accepted: {}", words()))
}

/// Prints them.
pub async fn run(args: ListArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let query = DeploymentQuery {
        status: args.status,
        include_deleted: args.deleted.then_some(true),
        ..DeploymentQuery::default()
    };
    let deployments = session.client().await?.all_deployments(query).await?;
    session.output.print(&deployments, |paint| {
        let mut table = Table::new(paint, &["NAME", "STATUS", "READY", "RUNTIME", "CPU", "MEMORY", "AGE", "ID"]);
        for one in &deployments {
            table.row(&[
                one.name.clone(),
                one.status.to_string(),
                format!("{}/{}", one.health.ready, one.target_replicas),
                one.runtime.to_string(),
                one.resources.cpu_millis.to_string(),
                format!("{} MB", one.resources.memory_mb),
                age(one.created_at),
                one.id.to_string(),
            ]);
        }
        table.render("no deployments; `fogline apply -f FILE` creates one")
    })
}
