//! What agents measure: processor and memory of a deployment's replicas. What proxies measure is in [`crate::proxies`].
//!
//! Means over the ready replicas, percent of what each reserves. A replica whose driver said nothing lately is missing,
//! not 0. Tests: `tests/it/scaling/readings.rs`.

use std::time::Duration;

use fogline_core::Cluster;
use fogline_core::id::DeploymentId;
use fogline_core::scaling::inputs::ReplicaCounts;
use fogline_core::scaling::sample::{Coverage, Reading, Sample, Source, builtin};
use fogline_core::state::ReplicaStatus;
use fogline_core::time::Timestamp;

/// Usage that is older than this says nothing: three heartbeats, and a while.
const LATELY: Duration = Duration::from_secs(15);
/// How often it is measured, for the judgement of gaps.
const INTERVAL: Duration = Duration::from_secs(5);

/// The use of a deployment's replicas.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Usage {
    /// Of processor time, percent.
    cpu: f64,
    /// Of memory, percent.
    memory: f64,
    /// When the latest of them was told; nothing where none was.
    at: Option<Timestamp>,
    sampled: u32,
    missing: u32,
    not_ready: u32,
    /// How long the starts of those that serve took together, and of how many that is known.
    starting: Duration,
    started: u32,
}

impl Usage {
    /// Looks at a deployment's replicas.
    pub(super) fn of(cluster: &Cluster, id: DeploymentId, counts: ReplicaCounts, now: Timestamp) -> Self {
        let mut usage = Self::default();
        let Some(deployment) = cluster.deployment(id) else { return usage };
        let revision = deployment.record.revision;
        let mut live: Vec<_> = cluster.replicas_of(deployment).filter(|replica| replica.status.is_live()).collect();
        if live.len() > counts.current as usize {
            // Those that a rollout has too many of do not count: what serves counts first, then what is new.
            let serves = |replica: &&fogline_core::record::ReplicaRecord| {
                replica.status == ReplicaStatus::Running && cluster.is_ready(replica)
            };
            live.sort_by_key(|replica| (!serves(replica), replica.revision != revision));
            live.truncate(counts.current as usize);
        }
        for replica in live {
            if replica.status != ReplicaStatus::Running || !cluster.is_ready(replica) {
                usage.not_ready += 1;
                continue;
            }
            if let Some(started) = replica.started_at {
                usage.starting = usage.starting.saturating_add(started.since(replica.created_at));
                usage.started += 1;
            }
            let seen = cluster.observed().replicas.get(&replica.id);
            let told = seen.and_then(|seen| Some((seen, seen.usage_at.filter(|at| now.since(*at) <= LATELY)?)));
            let Some((seen, at)) = told else {
                usage.missing += 1;
                continue;
            };
            usage.sampled += 1;
            usage.at = usage.at.max(Some(at));
            usage.cpu += percent(seen.cpu_millis, replica.resources.cpu_millis.0);
            usage.memory += percent(seen.memory_mb, replica.resources.memory_mb);
        }
        let sampled = f64::from(usage.sampled.max(1));
        (usage.cpu, usage.memory) = (usage.cpu / sampled, usage.memory / sampled);
        usage
    }

    /// What it says of a metric; nothing where it is none of the system's own.
    pub(super) fn reading(&self, metric: &str) -> Option<Reading> {
        let value = match metric {
            builtin::CPU_PERCENT => self.cpu,
            builtin::MEMORY_PERCENT => self.memory,
            _ => return None,
        };
        let sample = self.at.map_or(Sample::Missing, |at| Sample::Value { value, at });
        let coverage = Coverage { sampled: self.sampled, missing: self.missing, not_ready: self.not_ready };
        Some(Reading { coverage: Some(coverage), ..Reading::of(sample, Source::Builtin, INTERVAL) })
    }

    /// How long a replica takes from being asked for to serving; nothing before one was seen to.
    pub(super) fn start_time(&self) -> Option<Duration> {
        self.starting.checked_div(self.started)
    }

    /// Those that are measured.
    pub(super) const MEASURED: [&'static str; 2] = [builtin::CPU_PERCENT, builtin::MEMORY_PERCENT];
}

fn percent(used: u32, reserved: u32) -> f64 {
    // Nothing can be reserved of neither, as specs are checked; a division by it would be no number.
    f64::from(used) / f64::from(reserved.max(1)) * 100.0
}
