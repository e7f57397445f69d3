//! How many replica rows a second a commit makes durable: SQLite on a real file with `synchronous=FULL`, PostgreSQL as a
//! cluster on this machine with `fsync` and `synchronous_commit` on, beside what the disk alone gives: appends of the same
//! size with an fsync each.
//!
//! `cargo bench -p fogline-store`. `FOGLINE_BENCH_DIR` names a directory on the disk to be measured; PostgreSQL's is in
//! the system's directory for temporary files.

#![expect(clippy::disallowed_methods, reason = "it measures time, and is told by the environment where")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[path = "../tests/it/rows.rs"]
mod rows;

use fogline_core::cluster::Changes;
use fogline_core::record::ReplicaRecord;
use fogline_core::state::ReplicaStatus;
use fogline_store::{Candidate, Store, StoreConfig};
use fogline_testbed::Postgres;
use rows::Rows;

/// Longer than any run takes.
const LEASE: Duration = Duration::from_secs(3_600);
const NODES: usize = 5_000;
const REPLICAS_A_DEPLOYMENT: usize = 100;

fn main() {
    let base =
        std::env::var_os("FOGLINE_BENCH_DIR").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let directory = tempfile::tempdir_in(base).expect("a directory to measure in");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let cluster = Postgres::start();
    for (batch, batches) in [(1, 400), (1_000, 60), (10_000, 20)] {
        baseline(directory.path(), batch);
        let file = directory.path().join(format!("{batch}/bench.db"));
        runtime.block_on(replicas("SQLite", &StoreConfig::sqlite(file), batch, batches));
        let database = cluster.database();
        let config = StoreConfig::from_url(&database.url()).expect("a URL");
        runtime.block_on(replicas("PostgreSQL", &config, batch, batches));
    }
}

/// Appends as many bytes as a batch of rows leaves in the log, and waits for the disk.
fn baseline(directory: &Path, batch: usize) {
    let mut file = File::create(directory.join("baseline")).expect("a file");
    let bytes = vec![7_u8; batch * 650];
    let times: Vec<Duration> = (0..20)
        .map(|_| {
            let started = Instant::now();
            file.write_all(&bytes).and_then(|()| file.sync_all()).expect("room");
            started.elapsed()
        })
        .collect();
    println!("fsync alone, {:>5} kB:  {}", bytes.len() / 1_000, spread(&times));
}

async fn replicas(backend: &str, config: &StoreConfig, batch: usize, batches: usize) {
    let store = Store::open(config).await.expect("opens");
    store.migrate().await.expect("migrates");
    let lease = store.take_over(&Candidate::new("bench", LEASE)).await.expect("answers").won().expect("leads");
    let mut rows = Rows::new(1);

    let mut changes = Changes::default();
    let user = rows.user("bench");
    changes.users.record(user.id, None, Some(user.clone()));
    let nodes: Vec<_> = (0..NODES).map(|number| rows.node(&format!("node-{number:05}"))).collect();
    for node in &nodes {
        changes.nodes.record(node.id, None, Some(node.clone()));
    }
    store.commit(&lease, &changes).await.expect("commits");

    let mut all: Vec<ReplicaRecord> = Vec::new();
    let (mut inserts, mut updates) = (Vec::new(), Vec::new());
    for round in 0..batches {
        let mut changes = Changes::default();
        for number in 0..batch.div_ceil(REPLICAS_A_DEPLOYMENT) {
            let deployment = rows.deployment(&user, &format!("service-{round}-{number}"));
            changes.deployments.record(deployment.id, None, Some(deployment.clone()));
            changes.revisions.push(rows.revision(&deployment));
            changes.history.push(rows.history(&deployment, 1, "none", "pending"));
            changes.history.push(rows.history(&deployment, 2, "pending", "scheduled"));
            for _ in 0..REPLICAS_A_DEPLOYMENT.min(batch) {
                let node = &nodes[(all.len() * 7_919) % NODES];
                let replica = rows.replica(&deployment, node);
                changes.replicas.record(replica.id, None, Some(replica.clone()));
                all.push(replica);
            }
        }
        let started = Instant::now();
        store.commit(&lease, &changes).await.expect("commits");
        inserts.push(started.elapsed());
    }
    for chunk in all.chunks(batch).take(batches) {
        let mut changes = Changes::default();
        for before in chunk {
            let mut after = before.clone();
            after.status = ReplicaStatus::Running;
            after.endpoint = Some("10.0.0.1:31000".into());
            after.started_at = Some(after.created_at);
            changes.replicas.record(after.id, Some(before.clone()), Some(after));
        }
        let started = Instant::now();
        store.commit(&lease, &changes).await.expect("commits");
        updates.push(started.elapsed());
    }
    report(backend, "new", batch, &inserts);
    report(backend, "changed", batch, &updates);
    let started = Instant::now();
    let durable = store.load().await.expect("loads");
    println!(
        "{backend:>10}, load of {} replicas: {:.0} ms",
        durable.replicas.len(),
        started.elapsed().as_secs_f64() * 1e3
    );
    store.close().await;
}

fn report(backend: &str, what: &str, batch: usize, times: &[Duration]) {
    let seconds: f64 = times.iter().map(Duration::as_secs_f64).sum();
    let rate = (batch * times.len()) as f64 / seconds;
    println!("{backend:>10}, {what:>7} replicas, {batch:>6} a commit: {rate:>8.0} rows/s, {}", spread(times));
}

fn spread(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort();
    let ms = |at: usize| sorted[at.min(sorted.len() - 1)].as_secs_f64() * 1e3;
    let (median, p99, worst) = (ms(sorted.len() / 2), ms(sorted.len() * 99 / 100), ms(sorted.len() - 1));
    format!("median {median:.1} ms, p99 {p99:.1} ms, worst {worst:.1} ms")
}
