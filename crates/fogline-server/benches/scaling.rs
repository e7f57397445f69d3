//! 10,000 policies on as many targets, evaluated every 5 s, while the sources of half of them take 30 s to say nothing.
//!
//! A real server on SQLite, its metrics pushed over HTTP; the hanging sources are as many servers as there are policies
//! that ask them. Prints how long after it was due each evaluation ended, the processor time of a round and of all that
//! goes on beside it, and evaluations a second. Budget: lag p99 below 1 s, less than one core.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use fogline_api::client::Client;
use fogline_api::http::{PushMetricsRequest, PushedMetric};
use fogline_core::command::{Actor, Command, Outcome, Request};
use fogline_core::record::Role;
use fogline_core::scaling::PolicySpec;
use fogline_core::spec::DeploymentSpec;
use fogline_server::{Running, ServerConfig, start};
use rustix::time::{ClockId, clock_gettime};
use tokio_util::sync::CancellationToken;

#[expect(dead_code, reason = "what the other benches measure with")]
mod load;

const POLICIES: usize = 10_000;
const INTERVAL: Duration = Duration::from_secs(5);
/// Between pushes for all: a user may push 20,000 samples a minute, and a sample is good for 90 s.
const PUSHING: Duration = Duration::from_secs(20);
/// What is measured, after [`WARM`] in which every target is seen for the first time.
const MEASURED: Duration = Duration::from_secs(30);
const WARM: Duration = Duration::from_secs(20);

fn main() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory to measure in");
    let mut config = ServerConfig::new(directory.path().join("data"));
    config.listen = ([127, 0, 0, 1], 0).into();
    config.agent_listen = ([127, 0, 0, 1], 0).into();
    config.admin_password = Some(load::PASSWORD.to_owned().into());
    config.settings.node_timeout = Duration::from_secs(24 * 3_600);
    config.sources.allow_private = true;
    config.evaluation_interval = INTERVAL;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let server = start(config, stop.clone()).await.expect("the server starts");
        let silent = silence().await;
        prepare(&server, silent).await;
        measure(&server).await;
        stop.cancel();
        server.wait().await.expect("a clean stop");
    });
}

/// A server that takes every connection, at every address of this machine's own network, and says nothing.
async fn silence() -> u16 {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let mut held = std::collections::VecDeque::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push_back(connection);
            // More than can be open at once: those before were given up.
            if held.len() > 900 {
                held.pop_front();
            }
        }
    });
    port
}

async fn prepare(server: &Running, silent: u16) {
    let writer = server.shared().writer.clone();
    load::declare_nodes(&writer).await;
    let admin = writer.view(|cluster, _| cluster.user_named("admin").map(|user| user.id)).await.expect("a look");
    let id = admin.expect("the administrator");
    let mut tasks = tokio::task::JoinSet::new();
    for first in (0..POLICIES).step_by(500) {
        let writer = writer.clone();
        tasks.spawn(async move {
            for number in first..first + 500 {
                let actor = Actor::User { id, name: "admin".to_owned(), role: Role::Admin };
                let submit = |command| Request { actor: actor.clone(), command, idempotency: None, remote: None };
                let deploy = Command::Deploy { spec: Arc::new(service(number)) };
                let done = writer.submit(submit(deploy)).await.expect("deployed");
                assert!(matches!(done.outcome, Outcome::Deployed { .. }), "{done:?}");
                let create = Command::CreatePolicy { spec: Arc::new(policy(number, silent)) };
                writer.submit(submit(create)).await.expect("created");
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no panic");
    }
    println!("{POLICIES} deployments with a policy each, {} of them with a source that takes 30 s", POLICIES / 2);
}

fn service(number: usize) -> DeploymentSpec {
    serde_json::from_value(serde_json::json!({
        "name": format!("service-{number:05}"),
        "runtime": "process",
        "command": ["serve"],
        "replicas": 2,
        "resources": { "cpu": 0.5, "memory": 512, "storage": 10 },
    }))
    .expect("a spec")
}

fn policy(number: usize, silent: u16) -> PolicySpec {
    let host = Ipv4Addr::new(127, 0, (number / 250) as u8, (number % 250 + 1) as u8);
    let metrics = if number.is_multiple_of(2) {
        serde_json::json!({})
    } else {
        let url = format!("http://{host}:{silent}/stats");
        serde_json::json!({"queue": {"source": "http_json", "url": url, "pointer": "/length", "timeout": 30}})
    };
    serde_json::from_value(serde_json::json!({
        "name": format!("policy-{number:05}"),
        "target_type": "deployment",
        "target_id": format!("service-{number:05}"),
        "metrics": metrics,
        "scale_up_rules": [{"metric": "queue", "operator": "gt", "threshold": 10, "duration": "1m", "scale_by": 1}],
        "scale_down_rules": [{"metric": "queue", "operator": "lt", "threshold": 1, "duration": "5m", "scale_by": -1}],
    }))
    .expect("a policy")
}

async fn measure(server: &Running) {
    let client = Client::new(&format!("http://{}", server.http_addr)).expect("an address");
    let login = client.login("admin", load::PASSWORD).await.expect("the administrator may log in");
    let client = Arc::new(client.with_token(&login.access_token));
    let pushing = tokio::spawn(push(client));
    tokio::time::sleep(WARM).await;
    let before = (Figures::read(server), cpu());
    tokio::time::sleep(MEASURED).await;
    let after = (Figures::read(server), cpu());
    pushing.abort();

    let rounds = after.0.rounds - before.0.rounds;
    let evaluations = after.0.evaluations - before.0.evaluations;
    let round_s = (after.0.round_s - before.0.round_s) / rounds;
    let used = (after.1 - before.1).as_secs_f64();
    println!(
        "{rounds} rounds of {:.0} evaluations, {:.0} a second; a round takes {:.0} ms",
        evaluations / rounds,
        evaluations / MEASURED.as_secs_f64(),
        round_s * 1e3
    );
    let (p50, p99) = (after.0.lag(&before.0, 0.50), after.0.lag(&before.0, 0.99));
    let cores = used / MEASURED.as_secs_f64();
    println!(
        "lag p50 ≤ {:.0} ms, p99 ≤ {:.0} ms; processor time of the whole process, pushes and sources included: {:.2} s a round \
         ({cores:.2} cores)",
        p50 * 1e3,
        p99 * 1e3,
        used / rounds,
    );
    assert!(p99 <= 1.0 && cores < 1.0, "over budget: p99 below 1 s, less than one core");
}

/// Tells a length for every policy without a source, again and again.
async fn push(client: Arc<Client>) {
    let mut due = tokio::time::interval(PUSHING);
    loop {
        due.tick().await;
        for batch in 0..POLICIES / 2 / 1_000 {
            let sample = |index: usize| PushedMetric {
                deployment: Some(format!("service-{:05}", 2 * (batch * 1_000 + index))),
                metric: "queue".to_owned(),
                // Some are above the threshold at times, none for long enough.
                value: ((index * 7) % 12) as f64,
                ..PushedMetric::default()
            };
            let request = PushMetricsRequest { samples: (0..1_000).map(sample).collect() };
            client.push_metrics(&request).await.expect("taken");
        }
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What the server tells of its own engine.
struct Figures {
    evaluations: f64,
    rounds: f64,
    round_s: f64,
    /// Evaluations by the largest lag of their bucket.
    lags: Vec<(f64, f64)>,
}

impl Figures {
    fn read(server: &Running) -> Self {
        let text = server.shared().telemetry.render();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.parse().ok()).unwrap_or(0.0)
        };
        let buckets = text.lines().filter_map(|line| line.strip_prefix("fogline_scaling_lag_seconds_bucket{le=\""));
        let lags = buckets.filter_map(|line| {
            let (bound, count) = line.split_once("\"} ")?;
            Some((bound.parse().unwrap_or(f64::INFINITY), count.parse().ok()?))
        });
        Self {
            evaluations: value("fogline_scaling_evaluations_total"),
            rounds: value("fogline_scaling_round_seconds_count"),
            round_s: value("fogline_scaling_round_seconds_sum"),
            lags: lags.collect(),
        }
    }

    /// What this share of the evaluations since `before` did not exceed, to the next bound of a bucket.
    fn lag(&self, before: &Self, share: f64) -> f64 {
        let of = |(index, (bound, count)): (usize, &(f64, f64))| {
            (*bound, count - before.lags.get(index).map_or(0.0, |(_, count)| *count))
        };
        let counts: Vec<(f64, f64)> = self.lags.iter().enumerate().map(of).collect();
        let all = counts.last().map_or(0.0, |(_, count)| *count);
        counts.iter().find(|(_, count)| *count >= all * share).map_or(f64::NAN, |(bound, _)| *bound)
    }
}
