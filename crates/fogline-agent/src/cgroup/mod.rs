//! Limits on what a replica may take, where the machine lets the agent set them.
//!
//! Decides which hierarchy serves ([`Cgroups::detect`]) and makes one group a replica in it. Must never stop a replica
//! from running because it cannot be limited: what is off is told in words. Invariant: a group's name is its replica's
//! id, so nobody else's is touched. Tests: in the files here, on fake roots; on the real one in `tests/it/driver.rs`.

mod group;
mod mounts;
mod v1;
mod v2;

use std::path::{Path, PathBuf};

use fogline_core::id::ReplicaId;

pub use group::{Controller, ReplicaCgroup, Taken, Version};
use mounts::Mounts;

/// The directory, in each hierarchy, that holds the groups of replicas.
const PARENT: &str = "fogline";

/// What a replica may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CgroupLimits {
    /// Thousandths of a core.
    pub cpu_millis: u32,
    /// MB of 1,048,576 bytes.
    pub memory_mb: u32,
    /// Processes and threads.
    pub pids: u32,
}

/// What this machine offers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cgroups {
    support: Support,
    /// What is limited, or why it is not.
    words: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Support {
    /// The directory for groups in each controller's hierarchy.
    V1(Vec<(Controller, PathBuf)>),
    /// The one directory for groups.
    V2(PathBuf),
    Off,
}

impl Cgroups {
    /// No limits, and why.
    #[must_use]
    pub fn off(why: impl Into<String>) -> Self {
        Self { support: Support::Off, words: format!("no limits on replicas: {}", why.into()) }
    }

    /// Looks at the machine, and tries: what cannot be made or written is not offered.
    #[must_use]
    pub fn detect() -> Self {
        match (std::fs::read_to_string("/proc/self/mountinfo"), std::fs::read_to_string("/proc/self/cgroup")) {
            (Ok(mountinfo), Ok(own)) => Self::from_texts(&mountinfo, &own),
            (Err(error), _) => Self::off(format!("/proc/self/mountinfo cannot be read: {error}")),
            (_, Err(error)) => Self::off(format!("/proc/self/cgroup cannot be read: {error}")),
        }
    }

    fn from_texts(mountinfo: &str, own: &str) -> Self {
        let mounts = Mounts::parse(mountinfo, own);
        if !mounts.v1.is_empty() {
            let (usable, refused) = v1::probe(&mounts.v1);
            if !usable.is_empty() {
                let names: Vec<&str> = usable.iter().map(|(controller, _)| controller.name()).collect();
                let mut words = format!("cgroup v1 limits: {}", names.join(", "));
                if !refused.is_empty() {
                    words.push_str(&format!("; off: {}", refused.join("; ")));
                }
                return Self { support: Support::V1(usable), words };
            }
            return Self::off(format!("cgroup v1 is there, but {}", refused.join("; ")));
        }
        if mounts.v2.is_empty() {
            return Self::off("no cgroup controllers are mounted on this machine");
        }
        match v2::probe(&mounts.v2) {
            Ok(parent) => {
                let words = format!("cgroup v2 limits under {}: cpu, memory, pids", parent.display());
                Self { support: Support::V2(parent), words }
            }
            Err(why) => Self::off(format!(
                "cgroup v2 is there, but {why}; run the agent in a unit with Delegate=yes and DelegateSubgroup=agent"
            )),
        }
    }

    /// What is limited, or why it is not.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Makes a replica's group. Beside it: which limits could not be set, in words. Nothing where there are no limits.
    #[must_use]
    pub fn create(&self, replica_id: ReplicaId, limits: CgroupLimits) -> (Option<ReplicaCgroup>, Vec<String>) {
        let name = replica_id.to_string();
        let (group, refused) = match &self.support {
            Support::Off => return (None, Vec::new()),
            Support::V1(parents) => v1::create(parents, &name, limits),
            Support::V2(parent) => v2::create(parent, &name, limits),
        };
        (group.filter(|group| !group.dirs.is_empty()), refused)
    }

    /// A replica's group by its name alone, where there is one: for when nobody can read what was made.
    #[must_use]
    pub fn find(&self, replica_id: ReplicaId) -> Option<ReplicaCgroup> {
        let name = replica_id.to_string();
        let (version, mut dirs): (_, Vec<_>) = match &self.support {
            Support::Off => return None,
            Support::V1(parents) => {
                (Version::V1, parents.iter().map(|(controller, parent)| (*controller, parent.join(&name))).collect())
            }
            Support::V2(parent) => {
                (Version::V2, Controller::ALL.map(|controller| (controller, parent.join(&name))).to_vec())
            }
        };
        dirs.retain(|(_, dir)| dir.is_dir());
        (!dirs.is_empty()).then_some(ReplicaCgroup { version, dirs })
    }
}

/// Makes `parent/name`, although another agent may remove an empty `parent` at any moment.
fn make_group(parent: &Path, name: &str) -> std::io::Result<PathBuf> {
    let group = parent.join(name);
    let mut tries_left = 8;
    loop {
        match std::fs::create_dir_all(&group) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && tries_left > 0 => tries_left -= 1,
            made => return made.map(|()| group),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LIMITS: CgroupLimits = CgroupLimits { cpu_millis: 1_500, memory_mb: 512, pids: 1_024 };

    fn replica() -> ReplicaId {
        "0190b1f0-0000-7000-8000-000000000001".parse().expect("an id")
    }

    #[test]
    fn v1_limits_are_written_to_each_hierarchy() {
        let root = tempfile::tempdir().expect("a directory");
        let base = root.path().display();
        fs::create_dir_all(root.path().join("memory/unit")).expect("made");
        for name in ["cpu,cpuacct", "pids"] {
            fs::create_dir_all(root.path().join(name)).expect("made");
        }
        let mountinfo = format!(
            "30 24 0:26 / {base}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             31 24 0:27 / {base}/memory rw - cgroup cgroup rw,memory\n\
             32 24 0:28 / {base}/pids rw - cgroup cgroup rw,pids\n\
             33 24 0:29 / {base}/unified rw - cgroup2 cgroup2 rw\n"
        );
        let cgroups = Cgroups::from_texts(&mountinfo, "3:memory:/unit\n2:cpu,cpuacct:/\n1:pids:/gone\n0::/\n");
        assert_eq!(cgroups.words(), "cgroup v1 limits: cpu, cpuacct, memory, pids");
        let (group, refused) = cgroups.create(replica(), LIMITS);
        assert_eq!(refused, Vec::<String>::new());
        let read = |path: &str| {
            let id = replica();
            fs::read_to_string(root.path().join(path.replace("ID", &id.to_string()))).expect("written")
        };
        assert_eq!(read("cpu,cpuacct/fogline/ID/cpu.cfs_quota_us"), "150000");
        assert_eq!(read("cpu,cpuacct/fogline/ID/cpu.cfs_period_us"), "100000");
        assert_eq!(read("memory/unit/fogline/ID/memory.limit_in_bytes"), "536870912");
        assert_eq!(read("pids/fogline/ID/pids.max"), "1024");
        assert_eq!(group.as_ref().expect("made").dirs.len(), 4);
        assert_eq!(cgroups.find(replica()), group, "by its name alone");
        for parent in ["cpu,cpuacct", "memory/unit", "pids"] {
            fs::remove_dir_all(root.path().join(parent).join("fogline")).expect("removed");
        }
        assert_eq!(cgroups.find(replica()), None);
    }

    #[test]
    fn v2_limits_are_written_to_the_one_group() {
        let root = tempfile::tempdir().expect("a directory");
        let own = root.path().join("unit");
        fs::create_dir_all(&own).expect("made");
        fs::write(own.join("cgroup.controllers"), "cpuset cpu io memory pids\n").expect("written");
        let mountinfo = format!("33 24 0:29 / {} rw - cgroup2 cgroup2 rw\n", root.path().display());
        let cgroups = Cgroups::from_texts(&mountinfo, "0::/unit\n");
        assert_eq!(cgroups.words(), format!("cgroup v2 limits under {}/fogline: cpu, memory, pids", own.display()));
        let (group, refused) = cgroups.create(replica(), LIMITS);
        assert_eq!(refused, Vec::<String>::new());
        let dir = own.join("fogline").join(replica().to_string());
        let read = |name: &str| fs::read_to_string(dir.join(name)).expect("written");
        assert_eq!(
            (read("cpu.max"), read("memory.max"), read("pids.max")),
            ("150000 100000".to_owned(), "536870912".to_owned(), "1024".to_owned())
        );
        let group = group.expect("made");
        fs::write(dir.join("memory.events"), "low 0\noom 3\noom_kill 2\n").expect("written");
        fs::write(dir.join("cpu.stat"), "usage_usec 1500\nuser_usec 1000\n").expect("written");
        fs::write(dir.join("memory.current"), "10485760\n").expect("written");
        fs::write(dir.join("memory.stat"), "anon 1\ninactive_file 1048576\n").expect("written");
        assert_eq!(group.oom_kills(), 2);
        assert_eq!(group.taken(), Some(Taken { cpu_us: Some(1_500), memory_bytes: Some(9_437_184) }));
    }

    #[test]
    fn what_is_off_is_said() {
        let root = tempfile::tempdir().expect("a directory");
        fs::write(root.path().join("cgroup.controllers"), "cpu io\n").expect("written");
        let v2 = format!("33 24 0:29 / {} rw - cgroup2 cgroup2 rw\n", root.path().display());
        for (mountinfo, part) in [
            ("", "no cgroup controllers are mounted"),
            (v2.as_str(), "lacks memory, pids"),
            ("31 24 0:27 / /nowhere/memory rw - cgroup cgroup rw,memory\n", "memory: "),
        ] {
            let cgroups = Cgroups::from_texts(mountinfo, "0::/\n");
            assert!(cgroups.words().starts_with("no limits on replicas: "), "{}", cgroups.words());
            assert!(cgroups.words().contains(part), "{}", cgroups.words());
            assert_eq!(cgroups.create(replica(), LIMITS), (None, Vec::new()));
        }
    }
}
