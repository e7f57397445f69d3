//! `fogline replicas`: where a deployment runs and where it answers.

use clap::Args;
use fogline_api::http::ReplicaResponse;

use crate::env::Environment;
use crate::exit::Outcome;
use crate::output::{Paint, Table, age};
use crate::session::{ClientArgs, Session};

/// Flags of `fogline replicas`.
#[derive(Debug, Args)]
pub struct ReplicasArgs {
    /// Name or id of the deployment
    deployment: String,
    /// Those that are gone, too
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Prints them.
pub async fn run(args: ReplicasArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let id = session.find(&args.deployment).await?;
    let replicas = session.client().await?.replicas(id, args.all).await?;
    session.output.print(&replicas, |paint| table(&replicas, paint))
}

/// Replicas as a table.
pub fn table(replicas: &[ReplicaResponse], paint: Paint) -> String {
    let mut table = Table::new(
        paint,
        &["REPLICA", "STATUS", "READY", "NODE", "ENDPOINT", "PID", "REV", "RESTARTS", "AGE", "REASON"],
    );
    for one in replicas {
        table.row(&[
            one.id.to_string(),
            one.status.to_string(),
            if one.ready { "yes" } else { "no" }.to_owned(),
            or_dash(one.node.as_deref()),
            or_dash(one.endpoint.as_deref()),
            or_dash(one.container_id.as_deref()),
            one.revision.to_string(),
            one.restarts.to_string(),
            age(one.created_at),
            one.reason.clone().unwrap_or_default(),
        ]);
    }
    table.render("no replicas")
}

fn or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}
