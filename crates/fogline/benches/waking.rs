//! How long the first request waits for a deployment that sleeps: from its first byte to the first of its answer, through
//! the front door, with a real agent. The replica listens as soon as it runs.
//!
//! `cargo bench -p fogline --bench waking`; takes six minutes, most of which the deployment is left alone.

mod parts;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use fogline_testbed::{port, service_program};
use parts::{Parts, soon};
use tokio::time::Instant;

const ROUNDS: usize = 20;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let door = port::spare();
        let parts = Parts::start(&["--proxy-listen", &door.to_string()]).await;
        let client = &parts.client;
        let spec = serde_json::json!({
            "name": "measured", "runtime": "process", "command": [service_program()], "replicas": 1, "port": 8080,
            "resources": {"cpu": 0.5, "memory": 512, "storage": 1}, "routes": [{"host": "measured.test"}],
        });
        let id = client.deploy(&serde_json::from_value(spec).expect("a spec")).await.expect("fits").deployment_id;
        let policy = serde_json::json!({
            "name": "measured", "target_type": "deployment", "target_id": "measured", "min_replicas": 1,
            "max_replicas": 1, "scale_to_zero": true, "idle": {"idle_period": "10s"}, "cooldown_seconds": 0,
            "scale_down": {"stabilization": "0s"},
        });
        client.create_policy(&serde_json::from_value(policy).expect("a policy")).await.expect("it may");
        let (mut first, mut lost) = (Vec::new(), 0);
        for _ in 0..ROUNDS {
            soon("it to sleep, and its replica to be gone", async || {
                let asleep = client.deployment(id).await.expect("an answer").target_replicas == 0;
                let replicas = client.replicas(id, false).await.expect("an answer");
                (asleep && replicas.is_empty()).then_some(())
            })
            .await;
            // What stopping has left to be done is not measured.
            tokio::time::sleep(Duration::from_millis(500)).await;
            let began = Instant::now();
            let mut stream = ask(door);
            let mut byte = [0];
            let read = stream.read_exact(&mut byte);
            first.push(began.elapsed());
            let mut rest = String::new();
            let whole = read.and_then(|()| stream.read_to_string(&mut rest));
            lost += usize::from(whole.is_err() || !rest.starts_with("TTP/1.1 200 "));
        }
        first.sort();
        let ms = |place: usize| first[place].as_secs_f64() * 1e3;
        let (median, worst) = (ms((ROUNDS - 1) / 2), ms(ROUNDS - 1));
        println!(
            "{ROUNDS} first requests at zero: first byte after p50 {median:.1} ms (budget 250 ms), worst {worst:.1} ms"
        );
        println!("  lost: {lost} (budget 0)");
    });
}

fn ask(door: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(door).expect("the door is open");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: measured.test\r\nConnection: close\r\n\r\n").expect("sent");
    stream
}
