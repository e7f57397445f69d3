//! The machine: what it has, and how busy it is.
//!
//! Must never decide anything from it. A node that was declared with a capacity of its own is as busy as its replicas
//! make it; one that is the machine itself is as busy as the machine. Tests: below.

use std::path::Path;

use fogline_core::observation::{NodeUsage, ReplicaUsage};
use fogline_core::quantity::{CpuMillis, Resources};
use procfs::{Current, CurrentSI};

const MB: u64 = 1_024 * 1_024;
const GB: u64 = 1_024 * MB;

/// What the machine has: its cores, its memory, and the size of the file system under `dir`.
///
/// # Errors
/// What could not be read.
pub fn capacity(dir: &Path) -> Result<Resources, String> {
    let cores = std::thread::available_parallelism().map_err(|error| format!("cannot count the cores: {error}"))?;
    let memory = procfs::Meminfo::current().map_err(|error| format!("cannot read /proc/meminfo: {error}"))?;
    let disk = rustix::fs::statvfs(dir)
        .map_err(|error| format!("cannot ask for the size of the file system of {}: {error}", dir.display()))?;
    let whole = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(Resources {
        cpu_millis: CpuMillis(whole(cores.get() as u64 * 1_000)),
        memory_mb: whole(memory.mem_total / MB),
        gpu_units: 0,
        storage_gb: whole(disk.f_blocks.saturating_mul(disk.f_frsize) / GB),
    })
}

/// Measures how busy the machine is.
#[derive(Debug, Default)]
pub struct Sampler {
    last: Option<Ticks>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ticks {
    busy: u64,
    all: u64,
}

impl Sampler {
    /// How busy the machine was since the last call, or since boot.
    ///
    /// # Errors
    /// What could not be read.
    pub fn sample(&mut self) -> Result<NodeUsage, String> {
        let stats = procfs::KernelStats::current().map_err(|error| format!("cannot read /proc/stat: {error}"))?;
        let memory = procfs::Meminfo::current().map_err(|error| format!("cannot read /proc/meminfo: {error}"))?;
        let cpu = stats.total;
        let idle = cpu.idle + cpu.iowait.unwrap_or(0);
        let busy =
            cpu.user + cpu.nice + cpu.system + cpu.irq.unwrap_or(0) + cpu.softirq.unwrap_or(0) + cpu.steal.unwrap_or(0);
        let now = Ticks { busy, all: busy + idle };
        let last = self.last.replace(now).unwrap_or(Ticks { busy: 0, all: 0 });
        let free = memory.mem_available.unwrap_or(memory.mem_free);
        Ok(NodeUsage {
            cpu_percent: percent(now.busy.saturating_sub(last.busy), now.all.saturating_sub(last.all)),
            memory_percent: percent(memory.mem_total.saturating_sub(free), memory.mem_total),
        })
    }
}

/// How busy a declared node is: what its replicas take of what it offers.
#[must_use]
pub fn declared_usage(capacity: Resources, replicas: &[ReplicaUsage]) -> NodeUsage {
    let cpu_millis: u64 = replicas.iter().map(|usage| u64::from(usage.cpu_millis)).sum();
    let memory_mb: u64 = replicas.iter().map(|usage| u64::from(usage.memory_mb)).sum();
    NodeUsage {
        cpu_percent: percent(cpu_millis, capacity.cpu_millis.0.into()),
        memory_percent: percent(memory_mb, capacity.memory_mb.into()),
    }
}

/// A share, never outside of 0 to 100.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a percentage needs no more digits")]
fn percent(part: u64, whole: u64) -> f32 {
    if whole == 0 { 0.0 } else { ((part as f64 / whole as f64) * 100.0).clamp(0.0, 100.0) as f32 }
}

#[cfg(test)]
mod tests {
    use fogline_core::id::ReplicaId;

    use super::*;

    #[test]
    fn this_machine_has_something() {
        let has = capacity(Path::new("/")).expect("readable");
        assert!(has.cpu_millis.0 >= 1_000 && has.memory_mb > 0, "{has}");
        let mut sampler = Sampler::default();
        for _ in 0..2 {
            let usage = sampler.sample().expect("readable");
            assert!((0.0..=100.0).contains(&usage.cpu_percent) && (0.0..=100.0).contains(&usage.memory_percent));
        }
    }

    #[test]
    fn a_declared_node_is_as_busy_as_its_replicas_make_it() {
        let capacity = Resources { cpu_millis: CpuMillis(4_000), memory_mb: 1_000, gpu_units: 0, storage_gb: 1 };
        let takes = |cpu_millis, memory_mb| ReplicaUsage {
            replica_id: "00000000-0000-7000-8000-000000000001".parse::<ReplicaId>().expect("an id"),
            cpu_millis,
            memory_mb,
        };
        let usage = declared_usage(capacity, &[takes(500, 100), takes(500, 150)]);
        assert_eq!((usage.cpu_percent, usage.memory_percent), (25.0, 25.0));
        let usage = declared_usage(capacity, &[takes(u32::MAX, u32::MAX), takes(u32::MAX, u32::MAX)]);
        assert_eq!((usage.cpu_percent, usage.memory_percent), (100.0, 100.0));
        assert_eq!(declared_usage(Resources::ZERO, &[]).cpu_percent, 0.0);
    }
}
