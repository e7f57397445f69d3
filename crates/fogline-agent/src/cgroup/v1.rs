//! cgroup v1: one hierarchy a controller, any of which may be missing. Tests: in the module above.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::group::{Controller, ReplicaCgroup, Version};
use super::{CgroupLimits, PARENT, make_group};

/// The usual length of a period of the processor's quota.
pub(super) const CPU_PERIOD_US: u64 = 100_000;

/// For each controller the first candidate that takes a group; beside it, in words, those without.
pub(super) fn probe(candidates: &[(Controller, Vec<PathBuf>)]) -> (Vec<(Controller, PathBuf)>, Vec<String>) {
    let mut usable = Vec::new();
    let mut refused = Vec::new();
    for (controller, bases) in candidates {
        let mut why = String::new();
        let found = bases.iter().find(|base| match try_group(base) {
            Ok(()) => true,
            Err(error) => {
                why = format!("{}: {}: {error}", controller.name(), base.display());
                false
            }
        });
        match found {
            Some(base) => usable.push((*controller, base.join(PARENT))),
            None => refused.push(why),
        }
    }
    (usable, refused)
}

fn try_group(base: &Path) -> io::Result<()> {
    // Never made along the way: a base that is not there is no cgroup.
    fs::metadata(base)?;
    let probe = make_group(&base.join(PARENT), &format!("probe-{}", std::process::id()))?;
    fs::remove_dir(probe)?;
    // Refused while there are other groups in it.
    drop(fs::remove_dir(base.join(PARENT)));
    Ok(())
}

pub(super) fn create(
    parents: &[(Controller, PathBuf)],
    name: &str,
    limits: CgroupLimits,
) -> (Option<ReplicaCgroup>, Vec<String>) {
    let mut dirs = Vec::new();
    let mut refused = Vec::new();
    for (controller, parent) in parents {
        let made = make_group(parent, name).and_then(|dir| {
            dirs.push((*controller, dir.clone()));
            limit(*controller, &dir, limits)
        });
        if let Err(error) = made {
            refused.push(format!("{} is not limited: {}: {error}", controller.name(), parent.join(name).display()));
        }
    }
    (Some(ReplicaCgroup { version: Version::V1, dirs }), refused)
}

fn limit(controller: Controller, dir: &Path, limits: CgroupLimits) -> io::Result<()> {
    match controller {
        Controller::Cpu => {
            fs::write(dir.join("cpu.cfs_period_us"), CPU_PERIOD_US.to_string())?;
            fs::write(dir.join("cpu.cfs_quota_us"), cpu_quota_us(limits.cpu_millis).to_string())
        }
        // It only counts.
        Controller::Cpuacct => Ok(()),
        Controller::Memory => {
            let bytes = memory_bytes(limits.memory_mb).to_string();
            fs::write(dir.join("memory.limit_in_bytes"), &bytes)?;
            // Memory and swap together, where the kernel counts swap.
            let with_swap = dir.join("memory.memsw.limit_in_bytes");
            if with_swap.exists() { fs::write(with_swap, bytes) } else { Ok(()) }
        }
        Controller::Pids => fs::write(dir.join("pids.max"), limits.pids.to_string()),
    }
}

/// The kernel takes no less than 1 ms.
pub(super) fn cpu_quota_us(cpu_millis: u32) -> u64 {
    (u64::from(cpu_millis) * CPU_PERIOD_US / 1_000).max(1_000)
}

pub(super) fn memory_bytes(memory_mb: u32) -> u64 {
    u64::from(memory_mb) * 1_048_576
}
