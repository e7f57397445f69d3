//! How a container is closed off: what it may write, who it runs as, what of the node it sees.
//!
//! Decides only what can be asked for at all, and its ranges. There is no field for privileges, capabilities, devices or
//! the node's namespaces, so nobody can ask for them. Whether a node lets a path be mounted is for its administrator
//! (`agent.allowed_mounts`), and is checked by the agent, which alone can follow symbolic links. Tests: below.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::validate::{Check, shown};
use super::{DeploymentSpec, Runtime};

const MAX_TMPFS: usize = 16;
const MAX_MOUNTS: usize = 16;
const MAX_PATH_BYTES: usize = 4_096;
const PIDS: std::ops::RangeInclusive<u32> = 16..=32_768;

/// How the containers of a deployment are closed off. Only for `docker`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerSpec {
    /// User, or user and group, as `name`, `uid` or `uid:gid`, 1 to 64 characters; the image's own when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whether the image's files cannot be written; what is in `tmpfs` and writable `mounts` still can.
    #[serde(default = "default_read_only_root")]
    pub read_only_root: bool,
    /// Directories in memory, empty at each start, at most 16; what they hold counts as memory of the replica.
    #[serde(default = "default_tmpfs")]
    pub tmpfs: Vec<String>,
    /// Directories and files of the node, at most 16; only below paths that the node's administrator has allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<MountSpec>,
    /// Processes and threads that each replica may have, 16 to 32768.
    #[serde(default = "default_pids")]
    pub pids: u32,
}

/// A directory or file of the node that a container sees.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MountSpec {
    /// Absolute path on the node, which must exist there.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    /// Whether the container may only read it.
    #[serde(default = "default_read_only")]
    pub read_only: bool,
}

const fn default_read_only_root() -> bool {
    true
}

/// What images commonly write to beside their data. nginx does not make its own directory below `/var/cache`, and Docker
/// puts nothing of the image into a tmpfs, so it is named.
fn default_tmpfs() -> Vec<String> {
    ["/tmp", "/run", "/var/cache", "/var/cache/nginx", "/var/tmp"].map(str::to_owned).to_vec()
}

const fn default_pids() -> u32 {
    1_024
}

const fn default_read_only() -> bool {
    true
}

impl Default for ContainerSpec {
    fn default() -> Self {
        Self {
            user: None,
            read_only_root: default_read_only_root(),
            tmpfs: default_tmpfs(),
            mounts: Vec::new(),
            pids: default_pids(),
        }
    }
}

impl DeploymentSpec {
    pub(super) fn validate_container(&self, check: &mut Check) {
        let Some(container) = &self.container else { return };
        check.that(
            self.runtime() == Runtime::Docker,
            "container",
            || "is set, and runtime process has no container".to_owned(),
            "a container block together with runtime docker",
        );
        if let Some(user) = &container.user {
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
            let parts = user.split(':');
            let fits = (1..=64).contains(&user.len())
                && user.chars().all(legal)
                && parts.clone().count() <= 2
                && parts.clone().all(|part| !part.is_empty() && !part.starts_with('-'));
            check.that(
                fits,
                "container.user",
                || format!("{:?} is no user", shown(user)),
                "name, uid or uid:gid, 1 to 64 characters",
            );
        }
        check.range("container.pids", container.pids, &PIDS, "processes");
        let targets: Vec<(String, &str)> = {
            let tmpfs = container.tmpfs.iter().enumerate();
            let mounts = container.mounts.iter().enumerate();
            tmpfs
                .map(|(at, path)| (format!("container.tmpfs[{at}]"), path.as_str()))
                .chain(mounts.map(|(at, mount)| (format!("container.mounts[{at}].target"), mount.target.as_str())))
                .collect()
        };
        check.that(
            container.tmpfs.len() <= MAX_TMPFS,
            "container.tmpfs",
            || format!("{} are too many", container.tmpfs.len()),
            "at most 16 directories",
        );
        check.that(
            container.mounts.len() <= MAX_MOUNTS,
            "container.mounts",
            || format!("{} are too many", container.mounts.len()),
            "at most 16 mounts",
        );
        if container.tmpfs.len() > MAX_TMPFS || container.mounts.len() > MAX_MOUNTS {
            // Each is compared with all others below.
            return;
        }
        for (at, (field, path)) in targets.iter().enumerate() {
            check.that(
                is_plain_path(path) && !is_of_the_kernel(path),
                field,
                || format!("{:?} cannot be mounted over", shown(path)),
                "an absolute path without . and .., other than /, and not in /proc, /sys or /dev",
            );
            check.that(
                !targets[..at].iter().any(|(_, other)| other == path),
                field,
                || format!("{:?} is there twice", shown(path)),
                "each path once, among tmpfs and mounts",
            );
        }
        for (at, mount) in container.mounts.iter().enumerate() {
            check.that(
                is_plain_path(&mount.source) && !is_of_the_kernel(&mount.source),
                &format!("container.mounts[{at}].source"),
                || format!("{:?} cannot be mounted", shown(&mount.source)),
                "an absolute path on the node without . and .., other than /, and not in /proc, /sys or /dev",
            );
        }
    }
}

/// Absolute, not the root, and what it says is what it means. Colons and commas separate parts where engines are told
/// of mounts as text.
fn is_plain_path(path: &str) -> bool {
    path.len() <= MAX_PATH_BYTES
        && path.strip_prefix('/').is_some_and(|rest| {
            rest.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
                && !rest.chars().any(|c| c.is_control() || matches!(c, ':' | ','))
        })
}

fn is_of_the_kernel(path: &str) -> bool {
    ["/proc", "/sys", "/dev"]
        .iter()
        .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(container: &str) -> DeploymentSpec {
        let json = format!(
            r#"{{"name":"web","container_image":"nginx","resources":{{"cpu":1,"memory":512,"storage":1}},"container":{container}}}"#
        );
        serde_json::from_str(&json).expect("it parses")
    }

    #[test]
    fn what_is_not_said_is_closed_off_and_lets_common_images_start() {
        let spec = spec("{}");
        assert_eq!(spec.validate(), Ok(()));
        let container = spec.container.expect("given");
        assert_eq!(container, ContainerSpec::default());
        assert!(
            container.read_only_root && container.mounts.is_empty() && container.tmpfs.contains(&"/run".to_owned())
        );
    }

    #[test]
    fn each_field_has_a_range() {
        let table = [
            (r#"{"user":""}"#, "container.user"),
            (r#"{"user":"a b"}"#, "container.user"),
            (r#"{"user":"1:2:3"}"#, "container.user"),
            (r#"{"user":":0"}"#, "container.user"),
            (r#"{"pids":15}"#, "container.pids"),
            (r#"{"pids":32769}"#, "container.pids"),
            (r#"{"tmpfs":["tmp"]}"#, "container.tmpfs[0]"),
            (r#"{"tmpfs":["/"]}"#, "container.tmpfs[0]"),
            (r#"{"tmpfs":["/proc/sys"]}"#, "container.tmpfs[0]"),
            (r#"{"tmpfs":["/a","/a"]}"#, "container.tmpfs[1]"),
            (r#"{"tmpfs":["/a"],"mounts":[{"source":"/srv","target":"/a"}]}"#, "container.mounts[0].target"),
            (r#"{"mounts":[{"source":"/srv/../etc","target":"/a"}]}"#, "container.mounts[0].source"),
            (r#"{"mounts":[{"source":"/sys","target":"/a"}]}"#, "container.mounts[0].source"),
            (r#"{"mounts":[{"source":"/","target":"/a"}]}"#, "container.mounts[0].source"),
            (r#"{"mounts":[{"source":"/srv:ro","target":"/a"}]}"#, "container.mounts[0].source"),
            (r#"{"mounts":[{"source":"/srv","target":"/dev/shm"}]}"#, "container.mounts[0].target"),
        ];
        for (container, field) in table {
            let errors = spec(container).validate().expect_err(container);
            assert_eq!(errors.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), [field], "{container}");
        }
        let many: Vec<String> = (0..17).map(|at| format!("\"/d{at}\"")).collect();
        let errors = spec(&format!(r#"{{"tmpfs":[{}]}}"#, many.join(","))).validate().expect_err("too many");
        assert_eq!(errors[0].to_string(), "container.tmpfs: 17 are too many; accepted: at most 16 directories");
    }

    #[test]
    fn processes_have_no_container_and_privileges_have_no_field() {
        let mut process = spec("{}");
        process.runtime = Some(Runtime::Process);
        process.command = vec!["true".to_owned()];
        let errors = process.validate().expect_err("no container");
        assert_eq!(errors[0].field, "container");
        for field in ["privileged", "capabilities", "devices", "network_mode", "pid_mode"] {
            let parsed: Result<ContainerSpec, _> = serde_json::from_str(&format!("{{\"{field}\":true}}"));
            assert!(parsed.expect_err("no such field").to_string().contains(field));
        }
    }
}
