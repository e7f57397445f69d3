//! One replica's groups: who is in them, what they take, and their end.
//!
//! Made by the agent and handed to the shim in its order; both may remove them, and it does not matter who does. Must
//! never kill what left the group meanwhile. Tests: in the module above and `tests/it/driver.rs`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::shim::proc_stat::kill_if;

/// Which kind of hierarchy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// One hierarchy a controller.
    V1,
    /// One hierarchy.
    V2,
}

/// What a hierarchy can limit or count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Controller {
    /// Limits processor time.
    Cpu,
    /// Counts it, in v1.
    Cpuacct,
    /// Limits and counts memory.
    Memory,
    /// Limits processes.
    Pids,
}

impl Controller {
    pub(super) const ALL: [Self; 4] = [Self::Cpu, Self::Cpuacct, Self::Memory, Self::Pids];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Memory => "memory",
            Self::Pids => "pids",
        }
    }
}

/// A replica's groups.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReplicaCgroup {
    /// Which kind of hierarchy they are in.
    pub version: Version,
    /// The group of each controller; in v2 they are one.
    pub dirs: Vec<(Controller, PathBuf)>,
}

/// What a replica has taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Processor time since it began, in microseconds, where it is counted.
    pub cpu_us: Option<u64>,
    /// Memory now, without what the kernel could drop at once, where it is counted.
    pub memory_bytes: Option<u64>,
}

impl ReplicaCgroup {
    /// The files through which a process enters. One that cannot be opened limits nothing.
    #[must_use]
    pub fn open_procs(&self) -> Vec<File> {
        self.unique_dirs()
            .filter_map(|dir| OpenOptions::new().write(true).open(dir.join("cgroup.procs")).ok())
            .collect()
    }

    /// Everybody in them.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = self.unique_dirs().flat_map(pids_in).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// SIGKILL to everybody in them. Who forks meanwhile may need another call.
    pub fn kill(&self) {
        if self.version == Version::V2 {
            // At once and for all, since Linux 5.14.
            for dir in self.unique_dirs() {
                drop(fs::write(dir.join("cgroup.kill"), "1"));
            }
        }
        for pid in self.pids() {
            kill_if(pid, Signal::KILL, |_| self.pids().contains(&pid));
        }
    }

    /// How often the kernel killed somebody in them for want of memory.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        let file = match self.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        self.dir(Controller::Memory).and_then(|dir| keyed(&dir.join(file), "oom_kill")).unwrap_or(0)
    }

    /// What they take. Nothing where neither processor time nor memory is counted.
    #[must_use]
    pub fn taken(&self) -> Option<Taken> {
        let (cpu_us, memory, droppable) = match self.version {
            Version::V1 => (
                self.dir(Controller::Cpuacct)
                    .and_then(|dir| number(&dir.join("cpuacct.usage")))
                    .map(|nanoseconds| nanoseconds / 1_000),
                "memory.usage_in_bytes",
                "total_inactive_file",
            ),
            Version::V2 => (
                self.dir(Controller::Cpu).and_then(|dir| keyed(&dir.join("cpu.stat"), "usage_usec")),
                "memory.current",
                "inactive_file",
            ),
        };
        let memory_bytes = self.dir(Controller::Memory).and_then(|dir| {
            let all = number(&dir.join(memory))?;
            Some(all.saturating_sub(keyed(&dir.join("memory.stat"), droppable).unwrap_or(0)))
        });
        (cpu_us.is_some() || memory_bytes.is_some()).then_some(Taken { cpu_us, memory_bytes })
    }

    /// Removes them, and their parents with the last one. Whether they are gone; the kernel keeps a group until the
    /// last of its processes is reaped, so another call may be needed.
    pub fn remove(&self) -> bool {
        let mut gone = true;
        for dir in self.unique_dirs() {
            match fs::remove_dir(dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => gone = false,
                _ => {
                    // Refused while there are other groups in it.
                    drop(dir.parent().map(fs::remove_dir));
                }
            }
        }
        gone
    }

    fn dir(&self, controller: Controller) -> Option<&Path> {
        self.dirs.iter().find(|(one, _)| *one == controller).map(|(_, dir)| dir.as_path())
    }

    fn unique_dirs(&self) -> impl Iterator<Item = &Path> {
        self.dirs
            .iter()
            .enumerate()
            .filter(|(index, (_, dir))| self.dirs[..*index].iter().all(|(_, earlier)| earlier != dir))
            .map(|(_, (_, dir))| dir.as_path())
    }
}

fn pids_in(dir: &Path) -> Vec<i32> {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    // 0 stands for a process of another pid namespace, and would be ourselves in a signal.
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn keyed(path: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}
