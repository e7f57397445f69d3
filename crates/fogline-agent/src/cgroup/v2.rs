//! cgroup v2: one hierarchy, whose groups have a controller only when their parent shares it out. Tests: in the module
//! above.

use std::fs;
use std::path::{Path, PathBuf};

use super::group::{Controller, ReplicaCgroup, Version};
use super::v1::{CPU_PERIOD_US, cpu_quota_us, memory_bytes};
use super::{CgroupLimits, PARENT, make_group};

const NEEDED: [&str; 3] = ["cpu", "memory", "pids"];

/// The directory for groups in the first candidate that can share its controllers out, or why there is none.
pub(super) fn probe(bases: &[PathBuf]) -> Result<PathBuf, String> {
    let mut refused = Vec::new();
    for base in bases {
        match prepare(base) {
            Ok(parent) => {
                // Made again with the first replica; refused while there are groups in it.
                drop(fs::remove_dir(&parent));
                return Ok(parent);
            }
            Err(why) => refused.push(why),
        }
    }
    Err(refused.join("; "))
}

fn prepare(base: &Path) -> Result<PathBuf, String> {
    let controllers = fs::read_to_string(base.join("cgroup.controllers"))
        .map_err(|error| format!("{}: {error}", base.join("cgroup.controllers").display()))?;
    let has = |name: &&str| controllers.split_ascii_whitespace().any(|one| one == *name);
    let lacks: Vec<&str> = NEEDED.into_iter().filter(|name| !has(name)).collect();
    if !lacks.is_empty() {
        return Err(format!("{} lacks {}", base.display(), lacks.join(", ")));
    }
    let parent = base.join(PARENT);
    share_out(base)?;
    fs::create_dir_all(&parent).map_err(|error| format!("{}: {error}", parent.display()))?;
    if let Err(why) = share_out(&parent) {
        drop(fs::remove_dir(&parent));
        return Err(why);
    }
    Ok(parent)
}

/// Fails with "busy" where the group itself holds processes.
fn share_out(group: &Path) -> Result<(), String> {
    let path = group.join("cgroup.subtree_control");
    let shared = fs::read_to_string(&path).unwrap_or_default();
    if NEEDED.iter().all(|name| shared.split_ascii_whitespace().any(|one| one == *name)) {
        return Ok(());
    }
    fs::write(&path, "+cpu +memory +pids").map_err(|error| format!("{}: {error}", path.display()))
}

pub(super) fn create(parent: &Path, name: &str, limits: CgroupLimits) -> (Option<ReplicaCgroup>, Vec<String>) {
    // The parent may have been removed with the last replica.
    let made = parent.parent().map_or_else(|| Ok(parent.to_owned()), prepare).and_then(|parent| {
        make_group(&parent, name).map_err(|error| format!("{}: {error}", parent.join(name).display()))
    });
    let dir = match made {
        Ok(dir) => dir,
        Err(why) => return (None, vec![format!("nothing is limited: {why}")]),
    };
    let mut refused = Vec::new();
    for (file, value) in [
        ("cpu.max", format!("{} {CPU_PERIOD_US}", cpu_quota_us(limits.cpu_millis))),
        ("memory.max", memory_bytes(limits.memory_mb).to_string()),
        ("pids.max", limits.pids.to_string()),
    ] {
        if let Err(error) = fs::write(dir.join(file), value) {
            refused.push(format!("not limited: {}: {error}", dir.join(file).display()));
        }
    }
    // There may be no swap to forbid.
    drop(fs::write(dir.join("memory.swap.max"), "0"));
    let dirs = Controller::ALL.into_iter().map(|controller| (controller, dir.clone())).collect();
    (Some(ReplicaCgroup { version: Version::V2, dirs }), refused)
}
