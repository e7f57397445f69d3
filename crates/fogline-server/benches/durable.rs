//! How many replicas a second are accepted, placed and durable: commands that enter at the writer, 5,000 simulated nodes.
//! No HTTP, no agents. On SQLite and on PostgreSQL.
//!
//! `cargo bench -p fogline-server --bench durable`; SQLite's file is in the target directory, so on the disk that holds it,
//! PostgreSQL's in the directory for temporary files.

mod load;

use std::sync::Arc;
use std::time::Duration;

use fogline_core::command::{Actor, Command, Outcome, Request};
use fogline_core::id::{DeploymentId, UserId};
use fogline_core::record::Role;
use fogline_core::spec::DeploymentSpec;
use fogline_server::{Running, Writer};
use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use load::{NODES, Spread};

const DEPLOYMENTS: usize = 1_000;
const REPLICAS: u32 = 100;
const CALLERS: usize = 64;
const STEADY_PER_S: u32 = 500;
const STEADY_S: u32 = 6;

fn main() {
    let rate = load::on_each(measure);
    println!(
        "\nplaced replica rows/s: SQLite {:.0}, PostgreSQL {:.0}, ratio {:.2} (budget 30000 on both)",
        rate.sqlite,
        rate.postgres,
        rate.postgres / rate.sqlite
    );
}

/// Replicas a second.
async fn measure(server: &Running) -> f64 {
    let writer = server.shared().writer.clone();
    let admin = writer.view(|cluster, _| cluster.user_named("admin").map(|user| user.id));
    let admin = admin.await.expect("a look").expect("the administrator");

    let began = Instant::now();
    load::declare_nodes(&writer).await;
    println!("{NODES} nodes declared in {:.0} ms", began.elapsed().as_secs_f64() * 1e3);

    let replicas = f64::from(REPLICAS) * DEPLOYMENTS as f64;
    let commands = (0..DEPLOYMENTS).map(|number| Command::Deploy { spec: Arc::new(spec(number)) });
    let (outcomes, took) = all(&writer, admin, "deploys", commands).await;
    let rate = replicas / took.as_secs_f64();
    println!("  {rate:.0} replicas/s accepted, placed and durable");
    let ids: Vec<DeploymentId> = outcomes
        .into_iter()
        .map(|outcome| match outcome {
            Outcome::Deployed { deployment_id, .. } => deployment_id,
            other => panic!("{other:?}"),
        })
        .collect();
    let placed = writer.view(|cluster, _| cluster.replicas().count()).await.expect("a look");
    assert_eq!(placed, DEPLOYMENTS * REPLICAS as usize, "everything was placed");

    let down = ids.iter().map(|id| Command::ScaleDeployment { deployment_id: *id, replicas: 50 });
    all(&writer, admin, "scale-downs by 50", down).await;
    let up = ids.iter().map(|id| Command::ScaleDeployment { deployment_id: *id, replicas: 100 });
    all(&writer, admin, "scale-ups by 50", up).await;

    steady(&writer, admin, &ids).await;
    rate
}

/// Has all commands done by callers that each wait for their answer; says how long that took.
async fn all(
    writer: &Writer,
    admin: UserId,
    what: &str,
    commands: impl Iterator<Item = Command>,
) -> (Vec<Outcome>, Duration) {
    let before = writer.revision();
    let began = Instant::now();
    let answers: Vec<_> = stream::iter(commands)
        .map(|command| {
            let (writer, request) = (writer.clone(), request(admin, command));
            tokio::spawn(async move {
                let began = Instant::now();
                let committed = writer.submit(request).await.expect("accepted");
                (committed.outcome, began.elapsed())
            })
        })
        .buffer_unordered(CALLERS)
        .map(|answer| answer.expect("no panic"))
        .collect()
        .await;
    let took = began.elapsed();
    let commits = writer.revision() - before;
    let (outcomes, times): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
    let times = Spread::of(times);
    println!(
        "{} {what} by {CALLERS} callers in {:.2} s, {commits} commits: {:.0}/s, {times}",
        times.count(),
        took.as_secs_f64(),
        times.count() as f64 / took.as_secs_f64(),
    );
    (outcomes, took)
}

/// Scale calls that come at a fixed rate, whether the ones before are done or not.
async fn steady(writer: &Writer, admin: UserId, ids: &[DeploymentId]) {
    let mut due = tokio::time::interval(Duration::from_secs(1) / STEADY_PER_S);
    let mut calls = Vec::new();
    for call in 0..STEADY_PER_S * STEADY_S {
        due.tick().await;
        let id = ids[call as usize % ids.len()];
        let replicas = if (call as usize / ids.len()).is_multiple_of(2) { 98 } else { 100 };
        let (writer, request) =
            (writer.clone(), request(admin, Command::ScaleDeployment { deployment_id: id, replicas }));
        calls.push(tokio::spawn(async move {
            let began = Instant::now();
            writer.submit(request).await.expect("accepted");
            began.elapsed()
        }));
    }
    let mut times = Vec::new();
    for call in calls {
        times.push(call.await.expect("no panic"));
    }
    println!("{STEADY_PER_S} scale calls a second for {STEADY_S} s: {} (budget p99 50 ms)", Spread::of(times));
}

fn request(admin: UserId, command: Command) -> Request {
    let actor = Actor::User { id: admin, name: "admin".to_owned(), role: Role::Admin };
    Request { actor, command, idempotency: None, remote: None }
}

fn spec(number: usize) -> DeploymentSpec {
    serde_json::from_value(serde_json::json!({
        "name": format!("service-{number:05}"),
        "runtime": "process",
        "command": ["serve", "--port", "8080"],
        "replicas": REPLICAS,
        "resources": { "cpu": 0.5, "memory": 512 + 256 * (number % 3), "storage": 10 },
        "port": 8080,
    }))
    .expect("a spec")
}
