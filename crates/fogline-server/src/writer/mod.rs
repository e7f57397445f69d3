//! The only task that changes the cluster.
//!
//! It takes every command that waits, has core decide them, commits all their changes in one transaction, and only then
//! answers and tells others. Whatever arrives during a commit is the next batch, so there is no timer and no delay.
//! Invariant: nothing is acknowledged, and no agent is told anything, before it is durable.
//! [`batch`] decides without I/O, [`task`] does the I/O, [`mod@load`] reads the cluster, [`publish`] tells others,
//! [`narrate`] writes the log.
//! Tests: in the files, and `tests/it/writer.rs`.

mod batch;
mod heartbeats;
mod load;
mod narrate;
mod publish;
mod reply;
mod reports;
mod stopped;
mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fogline_core::Cluster;
use fogline_core::command::{Outcome, Rejection, Request};
use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::observation::{NodeUsage, ReplicaUsage};
use fogline_core::time::Timestamp;
use fogline_core::traffic::ServiceSignal;
use tokio::sync::{Notify, mpsc, oneshot};

pub(crate) use load::load;
pub(crate) use publish::{Publisher, PublisherParts};
pub(crate) use stopped::Stopped;
pub(crate) use task::{WriterParts, WriterTask};

use crate::leadership::Leadership;
use heartbeats::Heartbeats;
use reply::Reply;
use reports::Reports;

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
    /// The database cannot be reached. Nothing was changed: it goes on by itself once it can be.
    #[error(
        "the database cannot be reached, so nothing can be written: try again in a few seconds; what runs goes on running"
    )]
    DatabaseAway,
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

type Read = Box<dyn FnOnce(&Cluster, Timestamp) + Send>;

/// A command that waits, with whom to answer.
#[derive(Debug)]
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
    /// Whether the last attempt to write did not reach the database.
    away: AtomicBool,
    heartbeats: Heartbeats,
    reports: Reports,
    /// Rung for what was reported and must not wait for somebody else's command.
    bell: Notify,
}

/// The way to the writer of one term. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    commands: mpsc::Sender<Waiting>,
    reads: mpsc::Sender<Read>,
    status: Arc<Status>,
}

impl Desk {
    /// As [`Writer::submit`], in this term.
    pub(crate) async fn submit(&self, request: Request) -> Result<Committed, WriteError> {
        let (reply, answer) = Reply::pair();
        match self.commands.try_send(Waiting { request, reply }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(WriteError::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(WriteError::Stopping),
        }
        // A reply that is dropped says so itself.
        answer.await.unwrap_or(Err(WriteError::OutcomeUnknown))
    }

    /// As [`Writer::view`], in this term.
    pub(crate) async fn view<T: Send + 'static>(
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
        answer.await.map_err(|_| WriteError::NotLeader { leader: None })
    }

    /// The last commit.
    pub(crate) fn revision(&self) -> u64 {
        self.status.revision.load(Ordering::SeqCst)
    }

    fn accepts(&self) -> bool {
        !self.commands.is_closed()
            && !self.status.full.load(Ordering::SeqCst)
            && !self.status.away.load(Ordering::SeqCst)
    }

    /// A node's sign of life. Never waits and is never refused: only the latest of each node is kept until the writer
    /// comes by, so however busy it is, a node is not taken for dead because its words stood in a queue.
    pub(crate) fn heartbeat(&self, node_id: NodeId, usage: NodeUsage, replicas: Vec<ReplicaUsage>) {
        self.status.heartbeats.put(node_id, usage, replicas);
    }

    /// What a proxy reports. Never waits and is never refused, as a heartbeat; `at_once` where somebody waits for it.
    pub(crate) fn traffic(&self, proxy: &str, let_go: Vec<ReplicaId>, signals: Vec<ServiceSignal>, at_once: bool) {
        self.status.reports.put(proxy, let_go, signals);
        if at_once {
            self.status.bell.notify_one();
        }
    }
}

/// A handle to the writer, whichever term it is. Cheap to clone. Where this server does not lead, it says so.
#[derive(Clone)]
pub struct Writer {
    leadership: Leadership,
}

impl Writer {
    pub(crate) const fn new(leadership: Leadership) -> Self {
        Self { leadership }
    }

    /// Has a command decided. Resolves once it is durable, or refused.
    ///
    /// A caller that stops waiting does not take the command back.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn submit(&self, request: Request) -> Result<Committed, WriteError> {
        let Some(term) = self.leadership.term() else { return Err(self.leadership.absence()) };
        term.desk.submit(request).await.map_err(|error| self.instead(error))
    }

    /// Looks at the cluster between two batches, when everything in it is durable. `read` must be quick: the writer
    /// waits for it.
    ///
    /// # Errors
    /// When too many reads wait, this server does not lead, or it stops.
    pub async fn view<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Cluster, Timestamp) -> T + Send + 'static,
    ) -> Result<T, WriteError> {
        let Some(term) = self.leadership.term() else { return Err(self.leadership.absence()) };
        term.desk.view(read).await.map_err(|error| self.instead(error))
    }

    /// What is known by now of who leads, in place of a term's last word.
    fn instead(&self, error: WriteError) -> WriteError {
        match (error, self.leadership.leader()) {
            (WriteError::NotLeader { leader: None }, Some(leader)) => {
                WriteError::NotLeader { leader: Some(leader.http.clone()) }
            }
            // A term that takes nothing any more need not be the end of the server.
            (WriteError::Stopping, _) => self.leadership.absence(),
            (other, _) => other,
        }
    }

    /// The last commit of this term; 0 where this server does not lead.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.leadership.term().map_or(0, |term| term.desk.revision())
    }

    /// Whether commands are being taken: this server leads, and refuses nothing for want of disk space or database.
    #[must_use]
    pub fn accepts(&self) -> bool {
        self.leadership.term().is_some_and(|term| term.mandate.holds() && term.desk.accepts())
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("revision", &self.revision()).finish_non_exhaustive()
    }
}
