//! What running replicas take, from their cgroups, else from their processes.
//!
//! A rate needs two looks: the first one of a run gives no processor time. Tests: `tests/it/driver.rs`.

use std::sync::{Arc, PoisonError};

use fogline_core::observation::ReplicaUsage;

use super::Running;
use crate::cgroup::Taken;
use crate::clock::boot_us;
use crate::shim::proc_stat::{self, ProcStat};

/// What was seen last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    at_boot_us: u64,
    cpu_us: u64,
}

pub(super) fn usage(running: &[Arc<Running>]) -> Vec<ReplicaUsage> {
    // Only looked at where some replica has no cgroup.
    let mut processes: Option<Vec<ProcStat>> = None;
    running
        .iter()
        .map(|running| {
            let counted = running.cgroup.as_ref().and_then(crate::cgroup::ReplicaCgroup::taken);
            let (cpu_us, memory_bytes) = match counted {
                Some(Taken { cpu_us: Some(cpu_us), memory_bytes: Some(memory_bytes) }) => (cpu_us, memory_bytes),
                part => {
                    let all = processes.get_or_insert_with(|| proc_stat::all().unwrap_or_default());
                    let (cpu_us, memory_bytes) = of_session(all, running.shim.pid);
                    let part = part.unwrap_or(Taken { cpu_us: None, memory_bytes: None });
                    (part.cpu_us.unwrap_or(cpu_us), part.memory_bytes.unwrap_or(memory_bytes))
                }
            };
            let now = Sample { at_boot_us: boot_us(), cpu_us };
            let before = running.usage.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
            ReplicaUsage {
                replica_id: running.replica_id,
                cpu_millis: before.map_or(0, |before| cpu_millis(before, now)),
                memory_mb: u32::try_from(memory_bytes / 1_048_576).unwrap_or(u32::MAX),
            }
        })
        .collect()
}

/// Processor time may go back where it is added up from processes, when one of them ends.
fn cpu_millis(before: Sample, now: Sample) -> u32 {
    let passed_us = now.at_boot_us.saturating_sub(before.at_boot_us);
    let used_us = now.cpu_us.saturating_sub(before.cpu_us);
    u32::try_from(used_us.saturating_mul(1_000).checked_div(passed_us).unwrap_or(0)).unwrap_or(u32::MAX)
}

/// Processor time and memory of a session but for its leader, the shim.
fn of_session(all: &[ProcStat], shim_pid: i32) -> (u64, u64) {
    let tick_us = 1_000_000 / procfs::ticks_per_second().max(1);
    all.iter().filter(|stat| stat.session == shim_pid && stat.pid != shim_pid).fold((0, 0), |(cpu_us, bytes), stat| {
        (cpu_us + stat.cpu_ticks * tick_us, bytes + stat.rss_pages * procfs::page_size())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_core_is_500_thousandths() {
        let sample = |at_boot_us, cpu_us| Sample { at_boot_us, cpu_us };
        assert_eq!(cpu_millis(sample(1_000_000, 200_000), sample(3_000_000, 1_200_000)), 500);
        assert_eq!(cpu_millis(sample(1_000_000, 200_000), sample(1_000_000, 300_000)), 0, "no time has passed");
        assert_eq!(cpu_millis(sample(0, 200_000), sample(1_000_000, 100_000)), 0, "a process ended meanwhile");
    }
}
