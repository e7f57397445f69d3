//! The only task that changes the cluster.
//!
//! It takes every command that waits, has core decide them, commits all their changes in one transaction, and only then
//! answers and tells others. Whatever arrives during a commit is the next batch, so there is no timer and no delay.
//! Invariant: nothing is acknowledged, and no agent is told anything, before it is durable.
//! [`batch`] decides without I/O, [`task`] does the I/O, [`publish`] tells others, [`narrate`] writes the log.
//! Tests: in the files, and `tests/it/writer.rs`.

mod batch;
mod heartbeats;
mod narrate;
mod publish;
mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fogline_core::Cluster;
use fogline_core::command::{Outcome, Rejection, Request};
use fogline_core::id::NodeId;
use fogline_core::observation::{NodeUsage, ReplicaUsage};
use fogline_core::time::Timestamp;
use tokio::sync::{mpsc, oneshot};

pub(crate) use publish::Publisher;
pub(crate) use task::{Stopped, WriterTask, load};

use heartbeats::Heartbeats;

/// Reads that may wait for the space between two batches.
const VIEW_QUEUE: usize = 256;

/// A command that was accepted, and is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed {
    /// What it did.
    pub outcome: Outcome,
    /// The commit that holds it. Of a repeated request: the latest commit.
    pub revision: u64,
    /// Whether this is the answer that an earlier request with the same idempotency key was given.
    pub replayed: bool,
}

/// Why a command was not accepted, or may not have been.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WriteError {
    /// Refused for what it asks. Nothing was changed.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Too much is waiting. Nothing was changed: come back later.
    #[error("the server has more requests waiting than it takes on: try again in a second")]
    Busy,
    /// The server's disk is full. Nothing was changed: it heals by itself once there is room.
    #[error("the server's disk is full, so nothing can be written: free some space and try again")]
    StorageFull,
    /// The database refused the change that this command makes, and it alone. Nothing was changed. A bug of Fogline.
    #[error("the database refused the change: {0}; nothing was changed, please report this")]
    Contradiction(String),
    /// Whether it was done is not known. A retry with the same idempotency key is safe.
    #[error("the database did not say whether the change was saved: look, or repeat it with the same Idempotency-Key")]
    OutcomeUnknown,
    /// Another server leads.
    #[error("this server does not lead{}", .leader.as_ref().map(|at| format!(", {at} does")).unwrap_or_default())]
    NotLeader {
        /// Its address, where it is known.
        leader: Option<String>,
    },
    /// The server is stopping. Nothing was changed.
    #[error("the server is stopping: try again once it is back")]
    Stopping,
}

type Reply = oneshot::Sender<Result<Committed, WriteError>>;
type Read = Box<dyn FnOnce(&Cluster, Timestamp) + Send>;

/// A command that waits, with whom to answer.
struct Waiting {
    request: Request,
    reply: Reply,
}

/// What the handles and the task share.
#[derive(Debug, Default)]
struct Status {
    /// The last commit.
    revision: AtomicU64,
    /// Whether the last attempt to write found the disk full.
    full: AtomicBool,
    heartbeats: Heartbeats,
}

/// A handle to the writer. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    commands: mpsc::Sender<Waiting>,
    reads: mpsc::Sender<Read>,
    status: Arc<Status>,
}

impl Writer {
    /// Has a command decided. Resolves once it is durable, or refused.
    ///
    /// A caller that stops waiting does not take the command back.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn submit(&self, request: Request) -> Result<Committed, WriteError> {
        let (reply, answer) = oneshot::channel();
        match self.commands.try_send(Waiting { request, reply }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(WriteError::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(WriteError::Stopping),
        }
        // The task answers everything it has begun; what it drops without an answer it has never looked at.
        answer.await.unwrap_or(Err(WriteError::Stopping))
    }

    /// Looks at the cluster between two batches, when everything in it is durable. `read` must be quick: the writer
    /// waits for it.
    ///
    /// # Errors
    /// When too many reads wait, or the server stops.
    pub async fn view<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Cluster, Timestamp) -> T + Send + 'static,
    ) -> Result<T, WriteError> {
        let (reply, answer) = oneshot::channel();
        let read: Read = Box::new(move |cluster, now| {
            // Whoever asked may have gone.
            let _ = reply.send(read(cluster, now));
        });
        match self.reads.try_send(read) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(WriteError::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(WriteError::Stopping),
        }
        answer.await.map_err(|_| WriteError::Stopping)
    }

    /// The last commit.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.status.revision.load(Ordering::SeqCst)
    }

    /// Whether commands are being taken: neither stopped nor refusing for want of disk space.
    #[must_use]
    pub fn accepts(&self) -> bool {
        !self.commands.is_closed() && !self.status.full.load(Ordering::SeqCst)
    }

    /// A node's sign of life. Never waits and is never refused: only the latest of each node is kept until the writer
    /// comes by, so however busy it is, a node is not taken for dead because its words stood in a queue.
    pub(crate) fn heartbeat(&self, node_id: NodeId, usage: NodeUsage, replicas: Vec<ReplicaUsage>) {
        self.status.heartbeats.put(node_id, usage, replicas);
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("revision", &self.revision()).finish_non_exhaustive()
    }
}
