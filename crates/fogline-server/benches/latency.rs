//! How long a call takes for a client, over HTTP, while 500 writes a second come in: scale calls on 5,000 simulated
//! nodes, each call with its own check of token and session. No agents. On SQLite and on PostgreSQL.
//!
//! `cargo bench -p fogline-server --bench latency`; SQLite's file is in the target directory, so on the disk that holds it,
//! PostgreSQL's in the directory for temporary files.

mod load;

use std::sync::Arc;
use std::time::Duration;

use fogline_api::client::Client;
use fogline_core::spec::DeploymentSpec;
use fogline_server::Running;
use tokio::time::Instant;

use load::{NODES, PASSWORD, Spread};

const DEPLOYMENTS: usize = 100;
const WRITES_PER_S: u32 = 500;
const SECONDS: u32 = 10;

fn main() {
    let p99 = load::on_each(measure);
    println!(
        "\np99 of a scale call at {WRITES_PER_S}/s: SQLite {:.1} ms, PostgreSQL {:.1} ms, ratio {:.2} (budget 50 ms)",
        p99.sqlite,
        p99.postgres,
        p99.postgres / p99.sqlite
    );
}

/// The 99th percentile, in milliseconds.
async fn measure(server: &Running) -> f64 {
    load::declare_nodes(&server.shared().writer).await;
    let client = Client::new(&format!("http://{}", server.http_addr)).expect("an address");
    let login = client.login("admin", PASSWORD).await.expect("the administrator may log in");
    let client = Arc::new(client.with_token(&login.access_token));
    let mut ids = Vec::new();
    for number in 0..DEPLOYMENTS {
        ids.push(client.deploy(&spec(number)).await.expect("fits").deployment_id);
    }

    let mut due = tokio::time::interval(Duration::from_secs(1) / WRITES_PER_S);
    let mut calls = Vec::new();
    let began = Instant::now();
    for call in 0..WRITES_PER_S * SECONDS {
        due.tick().await;
        let id = ids[call as usize % DEPLOYMENTS];
        let replicas = if (call as usize / DEPLOYMENTS).is_multiple_of(2) { 6 } else { 5 };
        let client = Arc::clone(&client);
        calls.push(tokio::spawn(async move {
            let began = Instant::now();
            client.scale(id, replicas).await.expect("accepted");
            began.elapsed()
        }));
    }
    let mut times = Vec::new();
    for call in calls {
        times.push(call.await.expect("no panic"));
    }
    let rate = times.len() as f64 / began.elapsed().as_secs_f64();
    let times = Spread::of(times);
    println!("{} scale calls over HTTP on {NODES} nodes, {rate:.0}/s asked and answered: {times}", times.count());
    times.ms(0.99)
}

fn spec(number: usize) -> DeploymentSpec {
    serde_json::from_value(serde_json::json!({
        "name": format!("service-{number:03}"),
        "runtime": "process",
        "command": ["serve"],
        "replicas": 5,
        "resources": { "cpu": 0.5, "memory": 512, "storage": 10 },
    }))
    .expect("a spec")
}
