//! What agents tell: the only source of what really runs.
//!
//! Invariant: a report is a level, not an event. Hearing it twice, late or out of order changes nothing more, because
//! states only move forward and a lower `seq` is ignored.

use std::collections::BTreeMap;

use crate::id::ReplicaId;
use crate::image_digest::ImageDigest;
use crate::quantity::Resources;
use crate::record::Runtimes;

/// What an agent says a node is.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "as in NodeRecord")]
pub struct NodeDeclaration {
    pub name: String,
    pub region: String,
    pub zone: String,
    pub capacity: Resources,
    pub runtimes: Runtimes,
    pub labels: BTreeMap<String, String>,
}

/// How busy a node is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NodeUsage {
    /// 0 to 100 of all its cores.
    pub cpu_percent: f32,
    /// 0 to 100 of its memory.
    pub memory_percent: f32,
}

/// How busy a replica is.
#[derive(Clone, Copy, PartialEq, Debug)]
#[expect(missing_docs, reason = "units are in the names")]
pub struct ReplicaUsage {
    pub replica_id: ReplicaId,
    pub cpu_millis: u32,
    pub memory_mb: u32,
}

/// How far an agent has come with a replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReportedState {
    /// Being started, or started and not ready yet.
    Starting,
    /// Has been ready; `ready` says whether it is now.
    Running,
    /// Gone after it was told to stop.
    Stopped,
    /// Gone for good, or could not be started: `message` says why.
    Failed,
}

/// One replica, as its agent sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplicaReport {
    /// Which one.
    pub replica_id: ReplicaId,
    /// Counts the agent's reports on this replica, across restarts of the agent; only a higher one is news.
    pub seq: u64,
    /// How far it has come.
    pub state: ReportedState,
    /// Whether its readiness check passes now.
    pub ready: bool,
    /// How often it was restarted in place.
    pub restarts: u32,
    /// `address:port`, where it has one.
    pub endpoint: Option<String>,
    /// The driver's name for it.
    pub container_id: Option<String>,
    /// What its image turned out to be; nothing for a process, or while it is not known.
    pub image_digest: Option<ImageDigest>,
    /// Exit code of the last run, 128 + signal where a signal ended it.
    pub exit_code: Option<i32>,
    /// Why it failed or restarts.
    pub message: Option<String>,
}
