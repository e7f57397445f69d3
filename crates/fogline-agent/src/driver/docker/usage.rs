//! What containers take, as the engine tells.
//!
//! Asking takes the engine some time, so nobody waits for it: each question is answered with what was measured last, and
//! has the next measurement made. A rate needs two looks: the first one of a run gives no processor time. Nothing is
//! measured while nobody asks. Tests: below, and `tests/it/driver`.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptions;
use fogline_core::id::ReplicaId;
use fogline_core::observation::ReplicaUsage;
use tokio_stream::StreamExt;

use super::{EngineError, Failure, Inner, Slot};
use crate::clock::boot_us;

/// So many containers are asked about at once.
const AT_ONCE: usize = 8;

/// What was seen last of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    run: u32,
    at_boot_us: u64,
    cpu_us: u64,
    memory_bytes: u64,
    /// Since the sample before it.
    cpu_millis: u32,
}

pub(super) fn usage(inner: &Inner) -> Vec<ReplicaUsage> {
    inner.measure.notify_one();
    let running: Vec<ReplicaId> = running(inner).into_iter().map(|(replica_id, ..)| replica_id).collect();
    let samples = inner.usage.lock().unwrap_or_else(PoisonError::into_inner);
    let of = |replica_id: ReplicaId| {
        let sample = samples.get(&replica_id);
        ReplicaUsage {
            replica_id,
            cpu_millis: sample.map_or(0, |sample| sample.cpu_millis),
            memory_mb: sample.map_or(0, |sample| u32::try_from(sample.memory_bytes / 1_048_576).unwrap_or(u32::MAX)),
        }
    };
    running.into_iter().map(of).collect()
}

fn running(inner: &Inner) -> Vec<(ReplicaId, u32, String)> {
    inner
        .runs()
        .iter()
        .filter_map(|(replica_id, slot)| match slot {
            Slot::Running { run, container } => Some((*replica_id, *run, container.clone())),
            Slot::Busy { .. } | Slot::Held { .. } => None,
        })
        .collect()
}

pub(super) fn spawn(inner: &Arc<Inner>) {
    let stop = inner.stop.clone();
    let weak = Arc::downgrade(inner);
    tokio::spawn(async move {
        loop {
            let Some(inner) = weak.upgrade() else { return };
            tokio::select! {
                () = stop.cancelled() => return,
                () = asked(inner) => {}
            }
            let Some(inner) = weak.upgrade() else { return };
            tokio::select! {
                () = stop.cancelled() => return,
                () = measure(&inner) => {}
            }
        }
    });
}

async fn asked(inner: Arc<Inner>) {
    inner.measure.notified().await;
}

async fn measure(inner: &Arc<Inner>) {
    let running = running(inner);
    for some in running.chunks(AT_ONCE) {
        let mut tasks = tokio::task::JoinSet::new();
        for (replica_id, run, container) in some.iter().cloned() {
            let inner = Arc::clone(inner);
            tasks.spawn(async move { (replica_id, run, ask(&inner, &container).await) });
        }
        for (replica_id, run, stats) in tasks.join_all().await {
            match stats {
                Ok(stats) => note(inner, replica_id, run, &stats),
                Err(error) => tracing::debug!(%replica_id, %error, "not measured"),
            }
        }
    }
    let mut samples = inner.usage.lock().unwrap_or_else(PoisonError::into_inner);
    samples.retain(|replica_id, _| running.iter().any(|(id, ..)| id == replica_id));
}

async fn ask(inner: &Inner, container: &str) -> Result<ContainerStatsResponse, EngineError> {
    const ATTEMPT: &str = "measuring the container";
    let options = StatsOptions { stream: false, one_shot: true };
    let mut stats = inner.engine.client().await?.stats(container, Some(options));
    let first = async {
        let first = stats.next().await;
        first.transpose().map_err(|error| EngineError::of(ATTEMPT, &error))
    };
    inner.engine.within(ATTEMPT, first).await?.ok_or_else(|| EngineError {
        attempted: ATTEMPT,
        reason: "the engine told nothing".to_owned(),
        failure: Failure::Unknown,
    })
}

fn note(inner: &Inner, replica_id: ReplicaId, run: u32, stats: &ContainerStatsResponse) {
    let cpu_ns = stats.cpu_stats.as_ref().and_then(|cpu| cpu.cpu_usage.as_ref()?.total_usage).unwrap_or(0);
    let mut now =
        Sample { run, at_boot_us: boot_us(), cpu_us: cpu_ns / 1_000, memory_bytes: memory(stats), cpu_millis: 0 };
    let mut samples: std::sync::MutexGuard<'_, BTreeMap<ReplicaId, Sample>> =
        inner.usage.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(before) = samples.get(&replica_id).filter(|before| before.run == run) {
        let passed_us = now.at_boot_us.saturating_sub(before.at_boot_us);
        let used_us = now.cpu_us.saturating_sub(before.cpu_us);
        let millis = used_us.saturating_mul(1_000).checked_div(passed_us).unwrap_or(0);
        now.cpu_millis = u32::try_from(millis).unwrap_or(u32::MAX);
    }
    samples.insert(replica_id, now);
}

/// What the kernel could not take back at once: files that were only read do not count.
fn memory(stats: &ContainerStatsResponse) -> u64 {
    let Some(memory) = &stats.memory_stats else { return 0 };
    let figures = memory.stats.as_ref();
    let figure = |name: &str| figures.and_then(|figures| figures.get(name)).copied();
    let inactive = figure("total_inactive_file").or_else(|| figure("inactive_file")).unwrap_or(0);
    memory.usage.unwrap_or(0).saturating_sub(inactive)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bollard::models::ContainerMemoryStats;

    use super::*;

    #[test]
    fn files_that_were_only_read_are_no_memory_of_the_container() {
        let stats = |figures: &[(&str, u64)]| ContainerStatsResponse {
            memory_stats: Some(ContainerMemoryStats {
                usage: Some(100),
                stats: Some(
                    figures.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).collect::<HashMap<_, _>>(),
                ),
                ..ContainerMemoryStats::default()
            }),
            ..ContainerStatsResponse::default()
        };
        assert_eq!(memory(&stats(&[("total_inactive_file", 30), ("inactive_file", 10)])), 70);
        assert_eq!(memory(&stats(&[("inactive_file", 10)])), 90);
        assert_eq!(memory(&stats(&[])), 100);
        assert_eq!(memory(&ContainerStatsResponse::default()), 0);
    }
}
