//! `fogline logs`: what replicas have written, one or all of them.
//!
//! Invariant: with several replicas each line is whole and says whose it is.

use std::io::Write;

use clap::Args;
use fogline_api::client::{Client, LogQuery};
use fogline_api::http::ReplicaResponse;
use fogline_core::id::DeploymentId;
use tokio::sync::mpsc;

use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{LogCleaner, clean, written};
use crate::session::{ClientArgs, Session};

/// Lines that may wait for a slow terminal.
const WAITING_LINES: usize = 1_024;

/// Flags of `fogline logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Name or id of the deployment
    deployment: String,
    /// Go on as more is written
    #[arg(short, long)]
    follow: bool,
    /// How many lines from the end, at most 10000
    #[arg(short, long, default_value_t = 100, value_name = "LINES", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    tail: u32,
    /// Only this replica: its id, or the end of it
    #[arg(short, long, value_name = "ID")]
    replica: Option<String>,
    /// Replicas that are gone, too
    #[arg(short, long)]
    all: bool,
    /// Print escape sequences as they are
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Prints them.
pub async fn run(args: LogsArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let id = session.find(&args.deployment).await?;
    let client = session.client().await?;
    let replicas = choose(client.replicas(id, args.all || args.replica.is_some()).await?, args.replica.as_deref())?;
    let query = LogQuery { tail: args.tail, follow: args.follow };
    match replicas.as_slice() {
        [] => Err(Failure::new(Exit::NotFound, format!("{} has no replicas", args.deployment))
            .hint("--all shows the logs of those that are gone")),
        [one] => print_one(&client, id, one, query, args.raw).await,
        several => print_several(&client, id, several, query, args.raw).await,
    }
}

fn choose(mut replicas: Vec<ReplicaResponse>, wanted: Option<&str>) -> Outcome<Vec<ReplicaResponse>> {
    let Some(wanted) = wanted else { return Ok(replicas) };
    replicas.retain(|replica| replica.id.to_string().ends_with(wanted));
    match replicas.len() {
        1 => Ok(replicas),
        0 => Err(Failure::new(Exit::NotFound, format!("there is no replica {wanted:?}"))
            .hint("`fogline replicas --all` lists them")),
        several => {
            Err(Failure::new(Exit::Refused, format!("{several} replicas end in {wanted:?}"))
                .hint("type more of the id"))
        }
    }
}

async fn print_one(
    client: &Client,
    id: DeploymentId,
    replica: &ReplicaResponse,
    query: LogQuery,
    raw: bool,
) -> Outcome {
    let mut log = client.logs(id, replica.id, query).await?;
    let mut cleaner = LogCleaner::default();
    let print = |bytes: &[u8]| {
        let mut out = std::io::stdout().lock();
        written(out.write_all(bytes).and_then(|()| out.flush()))
    };
    while let Some(piece) = log.next().await? {
        if raw { print(&piece)? } else { print(cleaner.push(&piece).as_bytes())? }
    }
    print(cleaner.finish().as_bytes())
}

async fn print_several(
    client: &Client,
    id: DeploymentId,
    replicas: &[ReplicaResponse],
    query: LogQuery,
    raw: bool,
) -> Outcome {
    let (lines, mut arriving) = mpsc::channel::<String>(WAITING_LINES);
    let mut readers = tokio::task::JoinSet::new();
    for replica in replicas {
        let prefix = prefix(replica);
        readers.spawn(read_lines(client.clone(), id, replica.clone(), query, raw, prefix, lines.clone()));
    }
    drop(lines);
    while let Some(line) = arriving.recv().await {
        written(writeln!(std::io::stdout().lock(), "{line}"))?;
    }
    let mut failed = None;
    while let Some(ended) = readers.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => failed = Some(failure),
            Err(_) => failed = Some(Failure::general("the reading of a log broke off")),
        }
    }
    failed.map_or(Ok(()), Err)
}

/// The end of the id, where ids of one instant differ, and the node.
fn prefix(replica: &ReplicaResponse) -> String {
    let id = replica.id.to_string();
    let end = &id[id.len().saturating_sub(6)..];
    match &replica.node {
        Some(node) => format!("{end}@{}", clean(node)),
        None => end.to_owned(),
    }
}

async fn read_lines(
    client: Client,
    id: DeploymentId,
    replica: ReplicaResponse,
    query: LogQuery,
    raw: bool,
    prefix: String,
    lines: mpsc::Sender<String>,
) -> Outcome {
    let mut log = client.logs(id, replica.id, query).await.map_err(|error| {
        let mut failure = Failure::from(error);
        failure.message = format!("the log of replica {}: {}", replica.id, failure.message);
        failure
    })?;
    let mut cleaner = LogCleaner::default();
    let mut line = String::new();
    while let Some(piece) = log.next().await? {
        line.push_str(&if raw { String::from_utf8_lossy(&piece).into_owned() } else { cleaner.push(&piece) });
        while let Some(end) = line.find('\n') {
            let rest = line.split_off(end + 1);
            let whole = std::mem::replace(&mut line, rest);
            if lines.send(format!("{prefix} | {}", whole.trim_end_matches('\n'))).await.is_err() {
                return Ok(());
            }
        }
    }
    line.push_str(cleaner.finish());
    if !line.is_empty() {
        // Nobody reads any more: then nobody misses it either.
        let _ = lines.send(format!("{prefix} | {line}")).await;
    }
    Ok(())
}
