//! How long a call takes for a client, over HTTP, while 500 writes a second come in: scale calls on 5,000 simulated
//! nodes, SQLite with `synchronous=FULL` beneath, each call with its own check of token and session. No agents.
//!
//! `cargo bench -p fogline-server --bench latency`; the database is in the target directory, so on the disk that holds it.

mod load;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fogline_api::client::Client;
use fogline_core::spec::DeploymentSpec;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use load::{NODES, PASSWORD, spread};

const DEPLOYMENTS: usize = 100;
const WRITES_PER_S: u32 = 500;
const SECONDS: u32 = 10;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory to measure in");
    runtime.block_on(measure(directory.path()));
}

async fn measure(directory: &Path) {
    let stop = CancellationToken::new();
    let server = load::server(directory, &stop).await;
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
    println!(
        "{} scale calls over HTTP on {NODES} nodes, {rate:.0}/s asked and answered: {} (budget p99 50 ms at {WRITES_PER_S}/s)",
        times.len(),
        spread(&mut times)
    );
    stop.cancel();
    server.wait().await.expect("a clean stop");
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
