//! Logs of replicas, relayed from the agents that hold them.
//!
//! Nothing is kept here. Invariant: whatever a reader does, what waits for it is within the [budget](super::log_budget): a
//! log that is sent faster than it is read ends with an error when there is no room left, one of which nothing was read
//! for [`PATIENCE`] lets go of everything, and one that nobody holds any more is cancelled at its agent.
//! Tests: below, and `tests/it/agents.rs`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use fogline_core::id::{NodeId, ReplicaId, UserId};
use futures_util::Stream;

use super::log_budget::{LogBudget, LogPlace, MAX_LOGS_OF_ONE};
use crate::leadership::Leadership;

/// Most lines that can be asked for from the end of a log.
pub const MAX_TAIL_LINES: u32 = 10_000;

/// How long something may wait for a reader who takes nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether readers have taken something: so many times before patience ends.
const LOOKS: u32 = 6;

const LOOK: Duration = Duration::from_secs(PATIENCE.as_secs() / LOOKS as u64);

/// Why a log cannot be shown, or not any further.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LogError {
    /// Agents are attached to whoever leads, and this server does not.
    #[error("this server does not lead, and agents are attached to the one that does: try again in a second")]
    NotLeader,
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
    /// The reader has stopped reading.
    #[error("nothing was read of the log for {} s, so it was cut off", PATIENCE.as_secs())]
    Stalled,
    /// This server, or the agent's session, relays as many logs as it will.
    #[error("as many logs are being read as this server relays: try again later")]
    TooMany,
    /// The user reads as many logs as one may.
    #[error("you are reading {MAX_LOGS_OF_ONE} logs already: close one, then try again")]
    TooManyOfYours,
}

/// Opens logs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Logs {
    leadership: Leadership,
    budget: Arc<LogBudget>,
}

impl Logs {
    pub(crate) fn new(leadership: Leadership) -> Self {
        Self { leadership, budget: Arc::default() }
    }

    /// The last `tail` lines of a replica's log, and with `follow` all that come after them until the replica is gone
    /// or the stream is dropped. `node_id` is the node on the replica's row: its agent keeps the logs of replicas that
    /// have ended, too. Whether `reader` may see it is for the caller to check.
    ///
    /// # Errors
    /// When this server does not lead, no agent presents the node, or too many logs are being read already.
    pub async fn open(
        &self,
        reader: UserId,
        node_id: NodeId,
        replica_id: ReplicaId,
        tail: u32,
        follow: bool,
    ) -> Result<LogStream, LogError> {
        let term = self.leadership.term().ok_or(LogError::NotLeader)?;
        let session = term.registry.session_of(node_id).ok_or(LogError::NotAttached(node_id))?;
        let place = self.budget.place(reader)?;
        let log = session.open_log(place, replica_id, tail.min(MAX_TAIL_LINES), follow)?;
        tokio::spawn(watch(Arc::downgrade(&log.pipe), LOOK));
        Ok(log)
    }
}

/// The sending half, held by the session. Dropping it ends the log.
#[derive(Debug)]
pub(super) struct LogSink {
    pipe: Arc<Pipe>,
}

/// A log as it arrives. Dropping it cancels it at the agent.
pub struct LogStream {
    pipe: Arc<Pipe>,
}

/// What both halves share.
#[derive(Debug)]
struct Pipe {
    inner: Mutex<Inner>,
}

struct Inner {
    waiting: VecDeque<Bytes>,
    /// How it ends, once everything that waits was read.
    end: Option<Result<(), LogError>>,
    /// What it holds of the budget, and how its agent is told that nobody reads on. None: it was cut off or dropped.
    open: Option<Open>,
    /// Grows with each piece that is read.
    taken: u64,
    reader: Option<Waker>,
}

struct Open {
    place: LogPlace,
    cancel: Box<dyn FnOnce() + Send>,
}

/// Both halves of a log. `cancel` runs when the stream is dropped or cut off.
pub(super) fn channel(place: LogPlace, cancel: impl FnOnce() + Send + 'static) -> (LogSink, LogStream) {
    let open = Some(Open { place, cancel: Box::new(cancel) });
    let inner = Inner { waiting: VecDeque::new(), end: None, open, taken: 0, reader: None };
    let pipe = Arc::new(Pipe { inner: Mutex::new(inner) });
    (LogSink { pipe: Arc::clone(&pipe) }, LogStream { pipe })
}

impl LogSink {
    /// Passes data on; false when the reader has gone or is too slow, and the log should be cancelled.
    pub(super) fn data(&self, data: Bytes) -> bool {
        let mut inner = self.pipe.lock();
        if inner.end.is_some() {
            return false;
        }
        let Some(open) = &mut inner.open else { return false };
        let held = open.place.hold(data.len());
        if held {
            inner.waiting.push_back(data);
        } else {
            inner.end = Some(Err(LogError::TooSlow));
        }
        inner.wake();
        held
    }

    pub(super) fn fail(&self, error: LogError) {
        self.pipe.lock().end(Err(error));
    }
}

impl Drop for LogSink {
    fn drop(&mut self) {
        self.pipe.lock().end(Ok(()));
    }
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change under the lock is whole at each point where it could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of everything and has the agent told. Its own session may hold its lock only outside of this one's.
    fn cut(&self, why: LogError) {
        let mut inner = self.lock();
        let open = inner.open.take();
        inner.waiting = VecDeque::new();
        if open.is_some() {
            inner.end = Some(Err(why));
        }
        inner.wake();
        drop(inner);
        if let Some(Open { place, cancel }) = open {
            drop(place);
            cancel();
        }
    }
}

impl Inner {
    fn end(&mut self, how: Result<(), LogError>) {
        self.end.get_or_insert(how);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// Cuts a log off when its reader takes nothing of what waits. A stream cannot do that by itself: whoever does not read
/// does not ask it either.
async fn watch(pipe: Weak<Pipe>, look: Duration) {
    let (mut taken, mut looks) = (0, 0);
    loop {
        tokio::time::sleep(look).await;
        let Some(pipe) = pipe.upgrade() else { return };
        let inner = pipe.lock();
        if inner.open.is_none() {
            return;
        }
        let stands = !inner.waiting.is_empty() && inner.taken == taken;
        looks = if stands { looks + 1 } else { 0 };
        taken = inner.taken;
        drop(inner);
        if looks >= LOOKS {
            tracing::info!("a log was cut off: its reader has taken nothing for {} s", PATIENCE.as_secs());
            pipe.cut(LogError::Stalled);
            return;
        }
    }
}

impl Stream for LogStream {
    type Item = Result<Bytes, LogError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut inner = self.pipe.lock();
        if let Some(data) = inner.waiting.pop_front() {
            inner.taken += 1;
            if let Some(open) = &mut inner.open {
                open.place.release(data.len());
            }
            return Poll::Ready(Some(Ok(data)));
        }
        match &mut inner.end {
            // Said once; after it there is nothing.
            Some(end) => Poll::Ready(std::mem::replace(end, Ok(())).err().map(Err)),
            None => {
                inner.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for LogStream {
    fn drop(&mut self) {
        self.pipe.cut(LogError::Stalled);
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("waiting", &self.waiting.len()).field("end", &self.end).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for LogStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogStream").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::log_budget::{MAX_POOL_BYTES_OF_ONE, OWN_BYTES};
    use super::*;
    use fogline_core::id::IdSource;
    use fogline_core::time::Timestamp;
    use futures_util::StreamExt;

    /// A log with a budget of its own, and what is said to its agent.
    fn log() -> (LogSink, LogStream, std::sync::mpsc::Receiver<()>) {
        let (cancelled, told) = std::sync::mpsc::channel();
        let place =
            Arc::new(LogBudget::default()).place(IdSource::new(1).next(Timestamp::from_micros(1))).expect("room");
        let (sink, stream) = channel(place, move || cancelled.send(()).expect("received"));
        (sink, stream, told)
    }

    #[tokio::test]
    async fn a_reader_who_is_too_slow_is_cut_off_and_told() {
        let (sink, stream, _told) = log();
        let chunk = Bytes::from(vec![b'x'; (OWN_BYTES + MAX_POOL_BYTES_OF_ONE) / 2]);
        assert!(sink.data(chunk.clone()) && sink.data(chunk.clone()));
        assert!(!sink.data(Bytes::from_static(b"one more")));
        assert!(!sink.data(Bytes::new()), "it is over");
        drop(sink);
        let items: Vec<_> = stream.collect().await;
        assert_eq!(items, [Ok(chunk.clone()), Ok(chunk), Err(LogError::TooSlow)]);
    }

    #[tokio::test]
    async fn a_reader_who_goes_away_cancels() {
        let (sink, stream, told) = log();
        drop(stream);
        told.try_recv().expect("cancelled");
        assert!(!sink.data(Bytes::from_static(b"nobody reads this")));
    }

    #[tokio::test]
    async fn a_reader_who_stops_reading_holds_nothing_any_more() {
        let budget = Arc::new(LogBudget::default());
        let reader = IdSource::new(1).next(Timestamp::from_micros(1));
        let open = || {
            let (cancelled, told) = std::sync::mpsc::channel();
            let place = budget.place(reader)?;
            let (sink, stream) = channel(place, move || cancelled.send(()).expect("received"));
            tokio::spawn(watch(Arc::downgrade(&stream.pipe), Duration::from_millis(5)));
            Ok::<_, LogError>((sink, stream, told))
        };
        let (stalled, mut quiet) = (open().expect("room"), open().expect("room"));
        let mut others: Vec<_> = std::iter::from_fn(|| open().ok()).collect();
        assert_eq!(others.len(), MAX_LOGS_OF_ONE - 2);
        assert!(stalled.0.data(Bytes::from_static(b"not read")));
        let told = tokio::task::spawn_blocking(move || stalled.2.recv_timeout(Duration::from_secs(30)));
        told.await.expect("no panic").expect("its agent is told, though the stream is still held");
        others.push(open().expect("its place is free, too"));
        drop(stalled.0);
        assert_eq!(stalled.1.collect::<Vec<_>>().await, [Err(LogError::Stalled)]);
        // Where there is nothing to read, nobody is slow.
        quiet.2.try_recv().expect_err("not cancelled");
        assert!(quiet.0.data(Bytes::from_static(b"late")));
        assert_eq!(quiet.1.next().await, Some(Ok(Bytes::from_static(b"late"))));
    }
}
