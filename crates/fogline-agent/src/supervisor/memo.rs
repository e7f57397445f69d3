//! What the agent remembers of a replica beside what the driver keeps.
//!
//! The driver's own files say what was started, under which run number and port, and how it ended. The rest is here, one
//! small file a replica, written by [`super::Output::Persist`] before what follows from it is done. One file a replica
//! rather than one a node: a write costs the same however many replicas there are. Not in the driver's directory: a
//! replica that was never started has none, and the driver removes its own as it sees fit.

use fogline_core::id::ReplicaId;
use fogline_core::image_digest::ImageDigest;
use serde::{Deserialize, Serialize};

use super::crashes::Crashes;

/// How a replica ended for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// As it was told.
    Stopped,
    /// By itself, or it could not be started.
    Failed,
}

/// What must survive the agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Memo {
    /// Which replica.
    pub replica_id: ReplicaId,
    /// The name of its node.
    pub node: String,
    /// The number of the last run that was ordered.
    pub run: u32,
    /// How often it was restarted in place.
    pub restarts: u32,
    /// What decides about pauses and giving up.
    pub crashes: Crashes,
    /// Whether any run of it was ever ready, so that it is never reported as starting again.
    pub been_ready: bool,
    /// Whether it was ready when this was written: an agent that restarts takes no replica out of service by that.
    pub ready: bool,
    /// Whether the last run was ever ready: then it is not bound to become so in time any more.
    pub run_was_ready: bool,
    /// Whether it was told to stop. Never taken back.
    pub stop_ordered: bool,
    /// How it ended for good: it is never started again.
    pub end: Option<End>,
    /// Exit code of the last run.
    pub exit_code: Option<i32>,
    /// What was last reported about it, for people.
    pub message: Option<String>,
    /// What its image turned out to be. A restart in place is of the same one.
    #[serde(default)]
    pub image_digest: Option<ImageDigest>,
}
