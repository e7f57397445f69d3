//! Reads where cgroups are mounted and where in them the agent itself is.
//!
//! Must never touch the file system, so that it can be tested on texts of other machines. See proc_pid_mountinfo(5) and
//! cgroups(7). Tests are below.

use std::path::{Path, PathBuf};

use super::Controller;

/// Candidates for the parent of replicas' groups, the best first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Mounts {
    /// For each controller of v1.
    pub v1: Vec<(Controller, Vec<PathBuf>)>,
    pub v2: Vec<PathBuf>,
}

impl Mounts {
    /// `own` is `/proc/self/cgroup`.
    pub(super) fn parse(mountinfo: &str, own: &str) -> Self {
        let mut mounts = Self::default();
        for line in mountinfo.lines() {
            let Some(mount) = Mount::parse(line) else { continue };
            match mount.kind {
                "cgroup" => {
                    for controller in Controller::ALL {
                        let named = |option: &str| option == controller.name();
                        if mount.options.split(',').any(named) && mounts.v1.iter().all(|(one, _)| *one != controller) {
                            let own = own_path(own, |controllers| controllers.split(',').any(named));
                            mounts.v1.push((controller, vec![mount.resolve(own), mount.at.clone()]));
                        }
                    }
                }
                "cgroup2" if mounts.v2.is_empty() => {
                    let own = mount.resolve(own_path(own, str::is_empty));
                    // Where the unit is delegated and the agent sits in a subgroup of it, the unit is the place: a group
                    // that holds processes cannot share its controllers out.
                    mounts.v2 = vec![own.clone()];
                    if own != mount.at {
                        mounts.v2.extend(own.parent().map(Path::to_owned));
                        mounts.v2.push(mount.at);
                        mounts.v2.dedup();
                    }
                }
                _ => {}
            }
        }
        mounts.v1.sort_by_key(|(controller, _)| *controller);
        mounts
    }
}

struct Mount<'a> {
    /// The part of the hierarchy that is mounted.
    root: &'a str,
    at: PathBuf,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, at) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (kind, _, options) = (after.next()?, after.next()?, after.next()?);
        Some(Self { root, at: PathBuf::from(unescape(at)), kind, options })
    }

    /// Where a path of the hierarchy is seen. What is outside the mounted part is seen as the mount point.
    fn resolve(&self, path: &str) -> PathBuf {
        let inside = Path::new(path).strip_prefix(self.root).unwrap_or(Path::new(""));
        // A path of another cgroup namespace begins with "/..".
        if inside.as_os_str().is_empty() || inside.starts_with("..") { self.at.clone() } else { self.at.join(inside) }
    }
}

fn own_path(own: &str, is_wanted: impl Fn(&str) -> bool) -> &str {
    own.lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .find(|(controllers, _)| is_wanted(controllers))
        .map_or("/", |(_, path)| path)
}

/// Spaces and backslashes in mount points are octal escapes.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v2_machine_with_systemd() {
        let mounts = Mounts::parse(
            "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
            "0::/system.slice/fogline.service/agent\n",
        );
        assert!(mounts.v1.is_empty());
        let expected: Vec<PathBuf> = [
            "/sys/fs/cgroup/system.slice/fogline.service/agent",
            "/sys/fs/cgroup/system.slice/fogline.service",
            "/sys/fs/cgroup",
        ]
        .map(PathBuf::from)
        .to_vec();
        assert_eq!(mounts.v2, expected);
    }

    #[test]
    fn a_v1_machine_inside_a_container() {
        let mounts = Mounts::parse(
            "40 30 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
             41 30 0:31 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
             42 30 0:32 / /sys/fs/cgroup/systemd ro - cgroup cgroup rw,name=systemd\n",
            "5:memory:/docker/abc/inner\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n",
        );
        let at = |path: &str| PathBuf::from(path);
        assert_eq!(
            mounts.v1,
            vec![
                (Controller::Cpu, vec![at("/sys/fs/cgroup/cpu,cpuacct"), at("/sys/fs/cgroup/cpu,cpuacct")]),
                (Controller::Cpuacct, vec![at("/sys/fs/cgroup/cpu,cpuacct"), at("/sys/fs/cgroup/cpu,cpuacct")]),
                (Controller::Memory, vec![at("/sys/fs/cgroup/memory/inner"), at("/sys/fs/cgroup/memory")]),
            ]
        );
    }
}
