//! What the benches share: a real server on each real database in turn, thousands of nodes that nobody plays, percentiles.

use std::fmt;
use std::time::Duration;

use fogline_core::command::{Command, Request};
use fogline_core::observation::NodeDeclaration;
use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::record::Runtimes;
use fogline_core::spec::Runtime;
use fogline_server::{Running, ServerConfig, Writer, start};
use fogline_testbed::Postgres;
use tokio_util::sync::CancellationToken;

/// Simulated nodes.
pub const NODES: usize = 5_000;
/// The administrator's password.
pub const PASSWORD: &str = "password-of-a-bench";

/// What was measured on each database.
pub struct OnEach<T> {
    /// SQLite, with `synchronous=FULL`.
    pub sqlite: T,
    /// A PostgreSQL of our own on this machine, with `fsync` on, as it comes.
    pub postgres: T,
}

/// Measures on SQLite, then on PostgreSQL: a new server each, on an empty database.
pub fn on_each<T>(measure: impl AsyncFn(&Running) -> T) -> OnEach<T> {
    // Starting and dropping these blocks, so it is done outside of the runtime.
    let cluster = Postgres::start();
    let database = cluster.database();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory to measure in");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let measured = |name: &str, url: Option<String>| {
        println!("\n{name}:");
        let mut config = ServerConfig::new(directory.path().join(name));
        config.database_url = url.map(Into::into);
        config.listen = ([127, 0, 0, 1], 0).into();
        config.agent_listen = ([127, 0, 0, 1], 0).into();
        config.admin_password = Some(PASSWORD.to_owned().into());
        // Nobody plays the nodes' agents.
        config.settings.node_timeout = Duration::from_secs(24 * 3_600);
        runtime.block_on(async {
            let stop = CancellationToken::new();
            let server = start(config, stop.clone()).await.expect("the server starts");
            let measured = measure(&server).await;
            stop.cancel();
            server.wait().await.expect("a clean stop");
            measured
        })
    };
    OnEach { sqlite: measured("SQLite", None), postgres: measured("PostgreSQL", Some(database.url())) }
}

/// Presents the nodes as an agent would.
pub async fn declare_nodes(writer: &Writer) {
    for first in (0..NODES).step_by(1_000) {
        let nodes = (first..first + 1_000).map(node).collect();
        writer.submit(Request::agent(Command::DeclareNodes { nodes })).await.expect("declared");
    }
}

fn node(number: usize) -> NodeDeclaration {
    NodeDeclaration {
        name: format!("node-{number:05}"),
        region: format!("region-{}", number % 3),
        zone: format!("zone-{}", number % 9),
        capacity: Resources {
            cpu_millis: CpuMillis(16_000 + 16_000 * (number as u32 % 4)),
            memory_mb: 32_768 + 32_768 * (number as u32 % 4),
            gpu_units: 0,
            storage_gb: 2_000,
        },
        runtimes: Runtimes::of(&[Runtime::Process]),
        labels: Default::default(),
    }
}

/// How long something took.
pub struct Spread {
    sorted: Vec<Duration>,
}

impl Spread {
    /// Of these times, at least one.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { sorted: times }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// What this share of them did not take longer than, in milliseconds.
    pub fn ms(&self, share: f64) -> f64 {
        self.sorted[((self.sorted.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms", self.ms(0.5), self.ms(0.99), self.ms(1.0))
    }
}
