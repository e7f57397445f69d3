//! Logs of replicas, relayed from the agents that hold them.
//!
//! Nothing is kept here. Invariant: a stream that nobody reads ends with an error once [`MAX_BUFFERED_BYTES`] wait, and
//! one that nobody holds any more is cancelled at its agent. Tests: `tests/it/agents.rs`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use fogline_core::id::{NodeId, ReplicaId};
use futures_util::Stream;
use tokio::sync::mpsc;

use super::registry::Registry;

/// Most lines that can be asked for from the end of a log.
pub const MAX_TAIL_LINES: u32 = 10_000;

/// What may wait for a reader who is slower than the agent. Ten thousand lines of some hundred bytes fit.
pub(super) const MAX_BUFFERED_BYTES: usize = 8 * 1024 * 1024;

/// Why a log cannot be shown, or not any further.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LogError {
    /// No agent presents the node.
    #[error("the agent of node {0} is not connected, and it alone has the log: try again once the node is back")]
    NotAttached(NodeId),
    /// The agent went away in between.
    #[error("the agent of the replica's node went away before the log ended: ask again once it is back")]
    Detached,
    /// The agent has no log of it, or cannot read it; in its words.
    #[error("the agent cannot show the log: {0}")]
    Agent(String),
    /// The reader is slower than the log.
    #[error("the log grows faster than it was read, so it was cut off: ask for fewer lines, or read faster")]
    TooSlow,
    /// The agent's session relays as many logs as it will.
    #[error("too many logs of this node's agent are being read: close one, then try again")]
    TooMany,
}

/// Opens logs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Logs {
    registry: Arc<Registry>,
}

impl Logs {
    pub(crate) const fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }

    /// The last `tail` lines of a replica's log, and with `follow` all that come after them until the replica is gone
    /// or the stream is dropped. `node_id` is the node on the replica's row: its agent keeps the logs of replicas that
    /// have ended, too. Whether the caller may see it is for the caller to check.
    ///
    /// # Errors
    /// When no agent presents the node, or it relays too many logs already.
    pub async fn open(
        &self,
        node_id: NodeId,
        replica_id: ReplicaId,
        tail: u32,
        follow: bool,
    ) -> Result<LogStream, LogError> {
        let session = self.registry.session_of(node_id).ok_or(LogError::NotAttached(node_id))?;
        session.open_log(replica_id, tail.min(MAX_TAIL_LINES), follow)
    }
}

/// The sending half, held by the session.
#[derive(Debug)]
pub(super) struct LogSink {
    chunks: mpsc::UnboundedSender<Result<Bytes, LogError>>,
    buffered: Arc<AtomicUsize>,
}

/// A log as it arrives. Dropping it cancels it at the agent.
pub struct LogStream {
    chunks: mpsc::UnboundedReceiver<Result<Bytes, LogError>>,
    buffered: Arc<AtomicUsize>,
    _cancel: Cancel,
}

struct Cancel(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Drop for Cancel {
    fn drop(&mut self) {
        if let Some(cancel) = self.0.take() {
            cancel();
        }
    }
}

/// Both halves of a log. `cancel` runs when the stream is dropped.
pub(super) fn channel(cancel: impl FnOnce() + Send + Sync + 'static) -> (LogSink, LogStream) {
    let (sender, chunks) = mpsc::unbounded_channel();
    let buffered = Arc::new(AtomicUsize::new(0));
    let sink = LogSink { chunks: sender, buffered: Arc::clone(&buffered) };
    (sink, LogStream { chunks, buffered, _cancel: Cancel(Some(Box::new(cancel))) })
}

impl LogSink {
    /// Passes data on; false when the reader has gone or is too slow, and the log should be cancelled.
    pub(super) fn data(&self, data: Bytes) -> bool {
        let length = data.len();
        if self.buffered.fetch_add(length, Ordering::SeqCst) + length > MAX_BUFFERED_BYTES {
            self.fail(LogError::TooSlow);
            return false;
        }
        self.chunks.send(Ok(data)).is_ok()
    }

    pub(super) fn fail(&self, error: LogError) {
        // A reader who has gone needs no error.
        let _ = self.chunks.send(Err(error));
    }
}

impl Stream for LogStream {
    type Item = Result<Bytes, LogError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.chunks.poll_recv(cx);
        if let Poll::Ready(Some(Ok(data))) = &next {
            self.buffered.fetch_sub(data.len(), Ordering::SeqCst);
        }
        next
    }
}

impl std::fmt::Debug for LogStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogStream").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    #[tokio::test]
    async fn a_reader_who_is_too_slow_is_cut_off_and_told() {
        let (sink, stream) = channel(|| {});
        let chunk = Bytes::from(vec![b'x'; MAX_BUFFERED_BYTES / 2]);
        assert!(sink.data(chunk.clone()) && sink.data(chunk.clone()));
        assert!(!sink.data(Bytes::from_static(b"one more")));
        drop(sink);
        let items: Vec<_> = stream.collect().await;
        assert_eq!(items, [Ok(chunk.clone()), Ok(chunk), Err(LogError::TooSlow)]);
    }

    #[tokio::test]
    async fn a_reader_who_goes_away_cancels() {
        let (cancelled, told) = std::sync::mpsc::channel();
        let cancelled = std::sync::Mutex::new(cancelled);
        let (sink, stream) = channel(move || cancelled.lock().expect("unused").send(()).expect("received"));
        drop(stream);
        told.try_recv().expect("cancelled");
        assert!(!sink.data(Bytes::from_static(b"nobody reads this")));
    }
}
