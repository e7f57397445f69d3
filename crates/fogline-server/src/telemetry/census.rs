//! How many nodes, deployments and replicas there are in each state, kept up to date from what each commit changed.
//!
//! Counting anew at each scrape would walk every replica while the writer waits. Invariant: after any number of commits
//! the census equals one taken anew. Tests: below, and `tests/it/writer.rs`.

use fogline_core::Cluster;
use fogline_core::cluster::{Changes, Edits};
use fogline_core::record::Liveness;
use fogline_core::state::{DeploymentStatus, ReplicaStatus};

use super::Telemetry;

const LIVENESS: [Liveness; 2] = [Liveness::Online, Liveness::Offline];

/// The figures.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Census {
    nodes: [u64; LIVENESS.len()],
    deployments: [u64; DeploymentStatus::ALL.len()],
    replicas: [u64; ReplicaStatus::ALL.len()],
}

impl Census {
    /// Counts everything.
    pub(crate) fn of(cluster: &Cluster) -> Self {
        let mut census = Self::default();
        for (_, node) in cluster.nodes().iter() {
            census.nodes[node.liveness as usize] += 1;
        }
        for deployment in cluster.deployments() {
            census.deployments[deployment.record.status as usize] += 1;
        }
        for replica in cluster.replicas() {
            census.replicas[replica.status as usize] += 1;
        }
        census.deployments[DeploymentStatus::Deleted as usize] = 0;
        census
    }

    /// Counts what a commit changed.
    pub(crate) fn committed(&mut self, changes: &Changes) {
        count(&mut self.nodes, &changes.nodes, |node| Some(node.liveness as usize));
        count(&mut self.deployments, &changes.deployments, |deployment| {
            (deployment.status != DeploymentStatus::Deleted).then_some(deployment.status as usize)
        });
        count(&mut self.replicas, &changes.replicas, |replica| {
            (!replica.status.is_terminal()).then_some(replica.status as usize)
        });
    }

    /// Sets the gauges.
    pub(crate) fn show(&self, telemetry: &Telemetry) {
        for (liveness, count) in LIVENESS.iter().zip(self.nodes) {
            set(telemetry, "fogline_nodes", ("liveness", liveness.as_str()), count);
        }
        for (status, count) in DeploymentStatus::ALL.iter().zip(self.deployments) {
            if *status != DeploymentStatus::Deleted {
                set(telemetry, "fogline_deployments", ("status", status.as_str()), count);
            }
        }
        for (status, count) in ReplicaStatus::ALL.iter().zip(self.replicas) {
            if !status.is_terminal() {
                set(telemetry, "fogline_replicas", ("status", status.as_str()), count);
            }
        }
    }
}

/// Moves each edited row from the place it had to the place it has; a place of nothing is not counted.
fn count<K: Copy + Eq + std::hash::Hash, T>(
    counts: &mut [u64],
    edits: &Edits<K, T>,
    place: impl Fn(&T) -> Option<usize>,
) {
    for (_, edit) in edits.iter() {
        if let Some(at) = edit.before.as_ref().and_then(&place) {
            counts[at] = counts[at].saturating_sub(1);
        }
        if let Some(at) = edit.after.as_ref().and_then(&place) {
            counts[at] += 1;
        }
    }
}

fn set(telemetry: &Telemetry, name: &'static str, label: (&'static str, &'static str), count: u64) {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    telemetry.gauge(name, Some(label)).set(count as f64);
}
