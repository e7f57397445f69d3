//! Which paths of the node a container may see.
//!
//! Decides after following every symbolic link, and hands the engine the path that was found, so that a link cannot
//! lead out of what the administrator has allowed. A path inside of what a replica may write is refused, and one to
//! write that has another replica's inside: whoever writes there could put a link in its place between the check and
//! the mount. The same path may be shared. Checked before anything is begun, and again directly before the container is
//! made, when the order is on disk: of two that begin at once, at least one sees the other. What is left: whoever else
//! may write above a path on the node, a program or a container that is not this agent's, can exchange it until the
//! engine mounts it, and a link that another order names counts by where it leads now. Must never let a container see
//! the agent's own state, its credentials, the engine's socket, the kernel's file systems or the root. Tests:
//! `tests/it/driver/docker/mounts.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use fogline_core::spec::MountSpec;

use super::super::{ExitCause, StartError, StartOrder};
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
    let others = of_others(inner, order);
    let checked = mounts.iter().map(|mount| one(inner, mount, &others)).collect::<Result<Vec<_>, _>>()?;
    for (mount, one) in mounts.iter().zip(&checked) {
        let written = checked.iter().find(|other| !other.read_only && is_inside(&one.source, &other.source));
        if let Some(other) = written {
            let reason = format!("it is inside of {}, which the same container may write", other.source.display());
            return Err(refused(mount, reason));
        }
    }
    Ok(checked)
}

fn refused(mount: &MountSpec, reason: String) -> StartError {
    StartError::MountRefused { path: mount.source.clone(), reason }
}

fn is_inside(path: &Path, of: &Path) -> bool {
    path.starts_with(of) && path != of
}

fn one(inner: &Inner, mount: &MountSpec, others: &Others) -> Result<Checked, StartError> {
    let refused = |reason: String| refused(mount, reason);
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
    let config = &inner.config;
    let kept = std::iter::once(&config.state_dir).chain(&config.sockets).chain(&config.registry_auth);
    // Where a link is, and where it leads.
    for path in kept.flat_map(|path| [place(path), real(path)]) {
        if path.starts_with(&source) || source.starts_with(&path) {
            return Err(refused("it holds what the agent itself needs, which no container may see".to_owned()));
        }
    }
    if source == Path::new("/") || KERNEL.iter().any(|root| source.starts_with(root)) {
        return Err(refused("the root and the kernel's file systems are never mounted".to_owned()));
    }
    if let Some(other) = others.written.iter().find(|other| is_inside(&source, other)) {
        return Err(refused(format!(
            "it is inside of {}, which another replica may write and could exchange for a link; mount that whole \
             directory, or let the other one only read it",
            other.display()
        )));
    }
    if let Some(other) = others.mounted.iter().find(|other| !mount.read_only && is_inside(other, &source)) {
        return Err(refused(format!(
            "it holds {}, which another replica mounts, and could exchange it for a link; only read it, or let the \
             other one mount the whole directory",
            other.display()
        )));
    }
    Ok(Checked { source, target: mount.target.clone(), read_only: mount.read_only })
}

/// A path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| place(path))
}

/// A path without links but for its last part.
fn place(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => path,
    }
}

/// What the records of other replicas name on this node.
#[derive(Default)]
struct Others {
    /// What they may write, whether they run or have ended: they may run again.
    written: Vec<PathBuf>,
    /// What they mount, but for those that could not be started: two that refuse each other would do so for ever.
    mounted: Vec<PathBuf>,
}

fn of_others(inner: &Inner, order: &StartOrder) -> Others {
    let mut others = Others::default();
    for (replica_id, path) in replicas_in(&inner.containers_dir()) {
        if replica_id == order.replica_id {
            continue;
        }
        let Some(record) = RecordDir::at(path).whole() else { continue };
        let is_begun = !record.exit.is_some_and(|exit| matches!(exit.cause, ExitCause::NotStarted(_)));
        for mount in record.start.template.container.iter().flat_map(|container| &container.mounts) {
            let source = real(Path::new(&mount.source));
            if is_begun {
                others.mounted.push(source.clone());
            }
            if !mount.read_only {
                others.written.push(source);
            }
        }
    }
    others
}
