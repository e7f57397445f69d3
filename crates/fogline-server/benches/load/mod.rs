//! What the benches share: a real server on a real file, thousands of nodes that nobody plays, and percentiles.

use std::path::Path;
use std::time::Duration;

use fogline_core::command::{Command, Request};
use fogline_core::observation::NodeDeclaration;
use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::record::Runtimes;
use fogline_core::spec::Runtime;
use fogline_server::{Running, ServerConfig, Writer, start};
use tokio_util::sync::CancellationToken;

/// Simulated nodes.
pub const NODES: usize = 5_000;
/// The administrator's password.
pub const PASSWORD: &str = "password-of-a-bench";

/// A server on a database in `directory`.
pub async fn server(directory: &Path, stop: &CancellationToken) -> Running {
    let mut config = ServerConfig::new(directory.to_owned());
    config.listen = ([127, 0, 0, 1], 0).into();
    config.agent_listen = ([127, 0, 0, 1], 0).into();
    config.admin_password = Some(PASSWORD.to_owned().into());
    // Nobody plays the nodes' agents.
    config.settings.node_timeout = Duration::from_secs(24 * 3_600);
    start(config, stop.clone()).await.expect("the server starts")
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

/// Median, 99th percentile and worst of some times.
pub fn spread(times: &mut [Duration]) -> String {
    times.sort();
    let ms = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    format!("p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms", ms(0.5), ms(0.99), ms(1.0))
}
