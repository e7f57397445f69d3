//! How long it takes from a step of the load until a replica that was started for it serves: 10 requests a second become
//! 500, of which one replica is to have 50. Through the front door, with a real agent; a replica serves when the server
//! says that it is ready, which is a moment after it does.
//!
//! `cargo bench -p fogline --bench load_step`.

mod parts;

use std::collections::BTreeSet;
use std::time::Duration;

use fogline_testbed::{Load, LoadPlan, port, service_program};
use parts::{Parts, soon};
use tokio::time::Instant;

const STEPS: usize = 5;
const BEFORE: u32 = 10;
const AFTER: u32 = 500;
/// The figures of the load before are whole by then.
const SETTLE: Duration = Duration::from_secs(10);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut times: Vec<Duration> = (0..STEPS).map(|_| runtime.block_on(step())).collect();
    times.sort();
    let (median, worst) = (times[(STEPS - 1) / 2].as_secs_f64(), times[STEPS - 1].as_secs_f64());
    println!(
        "{STEPS} steps from {BEFORE} to {AFTER} requests a second: a new replica serves after p50 {median:.2} s, worst \
         {worst:.2} s (budget 3 s)"
    );
}

/// One step, on a server and an agent of its own, so that none is faster for what the one before has left.
async fn step() -> Duration {
    let door = port::spare();
    let parts = Parts::start(&["--proxy-listen", &door.to_string()]).await;
    let client = &parts.client;
    let spec = serde_json::json!({
        "name": "measured", "runtime": "process", "command": [service_program()], "replicas": 1, "port": 8080,
        "resources": {"cpu": 0.5, "memory": 512, "storage": 1}, "routes": [{"host": "measured.test"}],
    });
    let id = client.deploy(&serde_json::from_value(spec).expect("a spec")).await.expect("fits").deployment_id;
    let policy = serde_json::json!({
        "name": "measured", "target_type": "deployment", "target_id": "measured", "min_replicas": 1, "max_replicas": 12,
        "targets": [{"metric": "request_rate", "target": 50}],
    });
    client.create_policy(&serde_json::from_value(policy).expect("a policy")).await.expect("it may");
    let ready = async || {
        let replicas = client.replicas(id, false).await.expect("an answer");
        let ready = replicas.into_iter().filter(|replica| replica.ready);
        ready.filter_map(|replica| replica.endpoint).collect::<BTreeSet<String>>()
    };
    soon("a replica", async || (!ready().await.is_empty()).then_some(())).await;
    let plan = |rate| LoadPlan {
        to: door,
        host: "measured.test".to_owned(),
        path: "/".to_owned(),
        connections: 20,
        rate: Some(rate),
        websockets: 0,
    };
    let before = Load::start(&plan(BEFORE));
    tokio::time::sleep(SETTLE).await;
    let known = ready().await;
    let began = Instant::now();
    let after = Load::start(&plan(AFTER));
    soon("a replica more", async || ready().await.difference(&known).next().map(|_| ())).await;
    let took = began.elapsed();
    for load in [before, after] {
        let report = load.stop();
        assert!(report.is_flawless(), "{report:#?}");
    }
    took
}
