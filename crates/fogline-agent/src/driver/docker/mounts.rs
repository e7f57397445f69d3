//! Which paths of the node a container may see.
//!
//! Decides after following every symbolic link, and hands the engine the path that was found, so that a link cannot lead
//! out of what the administrator has allowed. A path inside of what another deployment may write is refused: whoever
//! writes there could put a link in its place between the check and the mount. Must never let a container see the
//! agent's own state, the engine's socket, the kernel's file systems or the root. Tests: `tests/it/driver/docker/mounts.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use fogline_core::spec::MountSpec;

use super::super::{StartError, StartOrder};
use super::record::RecordDir;
use super::{Inner, replicas_in};

/// Where the kernel shows itself, and what hangs off it.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];

/// A mount that was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Checked {
    /// The real path on the node.
    pub source: PathBuf,
    pub target: String,
    pub read_only: bool,
}

/// Checks all mounts of an order. Blocks.
pub(super) fn check(inner: &Inner, order: &StartOrder) -> Result<Vec<Checked>, StartError> {
    let mounts = order.template.container.as_ref().map_or(&[][..], |container| &container.mounts);
    if mounts.is_empty() {
        return Ok(Vec::new());
    }
    let written = written_by_others(inner, order);
    mounts.iter().map(|mount| one(inner, mount, &written)).collect()
}

fn one(inner: &Inner, mount: &MountSpec, written: &[PathBuf]) -> Result<Checked, StartError> {
    let refused = |reason: String| StartError::MountRefused { path: mount.source.clone(), reason };
    let allowed = &inner.config.allowed_mounts;
    if allowed.is_empty() {
        return Err(refused(
            "this node allows no mounts; its administrator can allow paths with `agent.allowed_mounts`".to_owned(),
        ));
    }
    let source = fs::canonicalize(&mount.source)
        .map_err(|error| refused(format!("{error}; create it on the node, as a container never does")))?;
    let roots: Vec<PathBuf> = allowed.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
    if !roots.iter().any(|root| source.starts_with(root)) {
        let shown: Vec<String> = allowed.iter().map(|path| path.display().to_string()).collect();
        let real = if source == Path::new(&mount.source) { String::new() } else { format!("{} ", source.display()) };
        return Err(refused(format!("{real}is not below a path that this node allows; allowed: {}", shown.join(", "))));
    }
    let kept = std::iter::once(inner.config.state_dir.clone()).chain(inner.config.sockets.iter().cloned());
    for path in kept {
        let path = fs::canonicalize(&path).unwrap_or(path);
        if path.starts_with(&source) || source.starts_with(&path) {
            return Err(refused("it holds what the agent itself needs, which no container may see".to_owned()));
        }
    }
    if source == Path::new("/") || KERNEL.iter().any(|root| source.starts_with(root)) {
        return Err(refused("the root and the kernel's file systems are never mounted".to_owned()));
    }
    if let Some(other) = written.iter().find(|other| source.starts_with(other) && source != **other) {
        return Err(refused(format!(
            "it is inside of {}, which a replica of another deployment may write and could exchange for a link; mount \
             that whole directory, or let the other one only read it",
            other.display()
        )));
    }
    Ok(Checked { source, target: mount.target.clone(), read_only: mount.read_only })
}

/// What replicas of other deployments may write on this node.
fn written_by_others(inner: &Inner, order: &StartOrder) -> Vec<PathBuf> {
    let mut written = Vec::new();
    for (_, path) in replicas_in(&inner.containers_dir()) {
        let Some(record) = RecordDir::at(path).whole() else { continue };
        if record.exit.is_some() || record.start.deployment_id == order.deployment_id {
            continue;
        }
        let mounts = record.start.template.container.as_ref().map_or(&[][..], |container| &container.mounts);
        written.extend(mounts.iter().filter(|one| !one.read_only).filter_map(|one| fs::canonicalize(&one.source).ok()));
    }
    written
}
