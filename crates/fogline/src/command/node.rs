//! `fogline node`: the machines, and taking them out of use.

use clap::{Args, Subcommand};
use fogline_api::http::{NodeResponse, NodeStatus, PatchNodeRequest};
use fogline_core::id::ReplicaId;

use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Table, age, clean};
use crate::session::{ClientArgs, Session};

/// Flags of `fogline node`.
#[derive(Debug, Args)]
pub struct NodeArgs {
    #[command(subcommand)]
    command: Option<NodeCommand>,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// List nodes with what is free on them
    List(OnlyClient),
    /// Give a node no new replicas
    Cordon(OneNode),
    /// Let a node have new replicas again; ends a drain, too
    Uncordon(OneNode),
    /// Move a node's replicas elsewhere, and give it no new ones
    Drain(OneNode),
    /// Remove a node that holds nothing
    Delete(DeleteNode),
    /// Stop a replica that runs on a node and is in no list of the cluster, as after a restored backup
    StopUnlisted(StopUnlisted),
}

#[derive(Debug, Args)]
struct OnlyClient {
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
struct OneNode {
    /// Name or id of the node
    node: String,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
struct DeleteNode {
    /// Name or id of the node
    node: String,
    /// Even though it still holds replicas: it will not come back
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
struct StopUnlisted {
    /// Name or id of the node
    node: String,
    /// Id of the replica, as `fogline node list` shows it
    replica: ReplicaId,
    #[command(flatten)]
    client: ClientArgs,
}

/// Lists or changes nodes.
pub async fn run(args: NodeArgs, environment: &Environment) -> Outcome {
    match args.command {
        None => list(&Session::open(&args.client, environment)?).await,
        Some(NodeCommand::List(list_args)) => list(&Session::open(&list_args.client, environment)?).await,
        Some(NodeCommand::Cordon(one)) => {
            let change = PatchNodeRequest { cordoned: Some(true), ..PatchNodeRequest::default() };
            patch(one, environment, change, "cordoned: it gets no new replicas").await
        }
        Some(NodeCommand::Uncordon(one)) => {
            let change = PatchNodeRequest { cordoned: Some(false), draining: Some(false), labels: None };
            patch(one, environment, change, "in use again").await
        }
        Some(NodeCommand::Drain(one)) => {
            let change = PatchNodeRequest { draining: Some(true), ..PatchNodeRequest::default() };
            patch(one, environment, change, "draining: its replicas move elsewhere").await
        }
        Some(NodeCommand::Delete(delete)) => {
            let session = Session::open(&delete.client, environment)?;
            let node = find(&session, &delete.node).await?;
            session.changing_client().await?.delete_node(node.id, delete.force).await?;
            session.output.print(&node, |paint| format!("{}: deleted", paint.strong(&node.name)))
        }
        Some(NodeCommand::StopUnlisted(stop)) => {
            let session = Session::open(&stop.client, environment)?;
            let node = find(&session, &stop.node).await?;
            let node = session.changing_client().await?.stop_unlisted(node.id, stop.replica).await?;
            session.output.print(&node, |paint| format!("{}: told to stop {}", paint.strong(&node.name), stop.replica))
        }
    }
}

async fn patch(one: OneNode, environment: &Environment, change: PatchNodeRequest, done: &str) -> Outcome {
    let session = Session::open(&one.client, environment)?;
    let node = find(&session, &one.node).await?;
    let node = session.changing_client().await?.patch_node(node.id, &change).await?;
    session.output.print(&node, |paint| format!("{}: {done}", paint.strong(&node.name)))
}

async fn find(session: &Session, wanted: &str) -> Outcome<NodeResponse> {
    let nodes = session.client().await?.nodes().await?;
    nodes.into_iter().find(|node| node.name == wanted || node.id.to_string() == wanted).ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("there is no node {:?}", clean(wanted)))
            .hint("`fogline node list` shows them")
    })
}

async fn list(session: &Session) -> Outcome {
    let nodes = session.client().await?.nodes().await?;
    session.output.print(&nodes, |paint| {
        let mut table = Table::new(
            paint,
            &[
                "NAME",
                "STATUS",
                "REGION",
                "ZONE",
                "REPLICAS",
                "CPU FREE",
                "MEMORY FREE",
                "STORAGE FREE",
                "RUNTIMES",
                "SEEN",
            ],
        );
        for node in &nodes {
            let of = |free: String, all: String, unit: &str| format!("{free}/{all}{unit}");
            let runtimes: Vec<&str> = node.runtimes.iter().map(|runtime| runtime.as_str()).collect();
            table.row(&[
                node.name.clone(),
                status(node),
                node.region.clone(),
                node.zone.clone(),
                node.replicas.to_string(),
                of(node.free.cpu_millis.to_string(), node.capacity.cpu_millis.to_string(), ""),
                of(node.free.memory_mb.to_string(), node.capacity.memory_mb.to_string(), " MB"),
                of(node.free.storage_gb.to_string(), node.capacity.storage_gb.to_string(), " GB"),
                runtimes.join(","),
                node.last_seen_at.map_or_else(|| "-".to_owned(), age),
            ]);
        }
        let mut text = table.render("no nodes; `fogline agent` adds this machine");
        for node in &nodes {
            text.push_str(&unlisted(node));
        }
        text
    })
}

/// What runs on a node and should not, or was forgotten. For people to decide.
fn unlisted(node: &NodeResponse) -> String {
    let of = |replica| format!("\n{} runs {replica}, which is in no list of this cluster", clean(&node.name));
    let mut text: String = node.unlisted.iter().map(of).collect();
    if !text.is_empty() {
        text.push_str(&format!("; `fogline node stop-unlisted {} REPLICA` stops it", clean(&node.name)));
    }
    text
}

/// One word, the most important one.
fn status(node: &NodeResponse) -> String {
    match (node.status, node.draining, node.cordoned) {
        (NodeStatus::Offline, ..) => "offline",
        (_, true, _) => "draining",
        (_, _, true) => "cordoned",
        (NodeStatus::Idle, ..) => "idle",
        (NodeStatus::Active, ..) => "active",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_runs_without_a_row_is_named_with_what_to_do_about_it() {
        let of = |unlisted: &[&str]| {
            let zero = serde_json::json!({"cpu": 0, "memory": 0, "gpu": 0, "storage": 0});
            let node = serde_json::json!({
                "id": "0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3", "name": "one", "region": "r", "zone": "z", "status": "idle",
                "cordoned": false, "draining": false, "runtimes": [], "labels": {}, "capacity": zero, "free": zero,
                "replicas": 0, "unlisted": unlisted,
                "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            });
            super::unlisted(&serde_json::from_value(node).expect("a node"))
        };
        assert_eq!(of(&[]), "");
        let (first, second) = ("0192f0c1-2d3e-7a4b-8c5d-000000000001", "0192f0c1-2d3e-7a4b-8c5d-000000000002");
        let text = of(&[first, second]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text:?}");
        assert!(lines[1].starts_with(&format!("one runs {first}")), "{text}");
        assert!(lines[2].contains(second) && lines[2].contains("fogline node stop-unlisted one REPLICA"), "{text}");
    }
}
