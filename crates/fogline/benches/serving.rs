//! How long it takes from a scale call to an answer of the new process replica: over HTTP, with a real agent, one replica
//! more at a time. The replica is this program, which listens as soon as it runs.
//!
//! `cargo bench -p fogline --bench serving`.

mod parts;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use fogline_api::client::Client;
use fogline_core::id::DeploymentId;
use fogline_core::spec::DeploymentSpec;
use parts::{Parts, soon};
use tokio::time::Instant;

const SCALE_UPS: i64 = 30;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return serve();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let parts = Parts::start(&[]).await;
        let client = &parts.client;
        let id = client.deploy(&spec()).await.expect("fits").deployment_id;
        let mut known = BTreeSet::new();
        answering(client, id, &mut known).await;
        let (mut accepted, mut serving) = (Vec::new(), Vec::new());
        for replicas in 2..2 + SCALE_UPS {
            let began = Instant::now();
            client.scale(id, replicas).await.expect("fits");
            accepted.push(began.elapsed());
            answering(client, id, &mut known).await;
            serving.push(began.elapsed());
        }
        println!("{SCALE_UPS} scale-ups by one replica: call answered {}", spread(&mut accepted));
        println!("  new replica answers, since the call began: {} (budget p50 300 ms)", spread(&mut serving));
    });
}

/// Waits until a replica that was not known is ready, and has answered.
async fn answering(client: &Client, id: DeploymentId, known: &mut BTreeSet<String>) {
    let endpoint = soon("a replica that is ready", async || {
        let replicas = client.replicas(id, false).await.expect("an answer");
        let ready = replicas.into_iter().filter(|replica| replica.ready).filter_map(|replica| replica.endpoint);
        ready.into_iter().find(|endpoint| !known.contains(endpoint))
    })
    .await;
    let mut stream = TcpStream::connect(&endpoint).expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: replica\r\n\r\n").expect("sent");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("an answer");
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    known.insert(endpoint);
}

/// What a replica does: answers everybody who has sent something.
fn serve() {
    #[expect(clippy::disallowed_methods, reason = "a replica is told its port like that")]
    let port: u16 = std::env::var("PORT").expect("a port").parse().expect("a number");
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("it is free");
    for mut stream in listener.incoming().flatten() {
        let mut bytes = [0; 4_096];
        // Who only tries whether it listens sends nothing, and does not wait for an answer.
        if stream.read(&mut bytes).is_ok_and(|read| read > 0) {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
        }
    }
}

fn spec() -> DeploymentSpec {
    let program = std::env::current_exe().expect("this program");
    serde_json::from_value(serde_json::json!({
        "name": "measured",
        "runtime": "process",
        "command": [program, "serve"],
        "replicas": 1,
        "resources": { "cpu": 0.5, "memory": 512, "storage": 1 },
        "port": 8080,
    }))
    .expect("a spec")
}

/// Median and worst of some times.
fn spread(times: &mut [Duration]) -> String {
    times.sort();
    let ms = |place: usize| times[place].as_secs_f64() * 1e3;
    format!("p50 {:.1} ms, worst {:.1} ms", ms((times.len() - 1) / 2), ms(times.len() - 1))
}
