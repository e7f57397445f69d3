//! What one session has to be told, until it can be sent.
//!
//! Invariant: bounded however slow the agent is. Of each node only the latest list is kept; log requests are at most
//! [`MAX_LOGS`], and one that was cancelled before it was sent is forgotten. Tests: below.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fogline_api::protocol::{ExecAnswer, ExecEnd, FromServer, LogChunkData, LogQuestion, NodeAssignment};
use fogline_core::id::{NodeId, ReplicaId};
use tokio::sync::{Notify, oneshot};
use tonic::Status;

use super::exec::{self, ExecError, Waiting};
use super::log_budget::LogPlace;
use super::logs::{self, LogError, LogSink, LogStream};

/// Logs that one session relays at the same time.
const MAX_LOGS: usize = 64;

/// The door to one session from outside of it.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// Counts the sessions of this server.
    pub(super) number: u64,
    inner: Mutex<Inner>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    lists: BTreeMap<NodeId, NodeAssignment>,
    log_messages: VecDeque<FromServer>,
    /// Logs that the agent was asked for, or will be. Without a sink: cancelled, and the agent is to be told.
    logs: HashMap<u64, Option<LogSink>>,
    last_request: u64,
    commands: Waiting,
    end: Option<Status>,
    over: bool,
}

impl Mailbox {
    pub(super) fn new(number: u64) -> Arc<Self> {
        Arc::new(Self { number, inner: Mutex::default(), wake: Notify::new() })
    }

    /// A node's new list, in place of one that was not sent yet.
    pub(crate) fn publish(&self, list: NodeAssignment) {
        self.lock().lists.insert(list.node_id, list);
        self.wake.notify_one();
    }

    /// Ends the session, with what its agent is told.
    pub(super) fn end(&self, status: Status) {
        self.lock().end.get_or_insert(status);
        self.wake.notify_one();
    }

    /// Waits until there may be something new.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Whether the session was ended, and with what.
    pub(super) fn ended(&self) -> Option<Status> {
        self.lock().end.take()
    }

    /// The next thing to send: nothing when there is nothing.
    ///
    /// # Errors
    /// The end of the session.
    pub(super) fn next(&self) -> Result<Option<FromServer>, Status> {
        let mut inner = self.lock();
        if let Some(status) = inner.end.take() {
            return Err(status);
        }
        if let Some(message) = inner.log_messages.pop_front() {
            if let FromServer::LogCancel { request } = message {
                inner.logs.remove(&request);
            }
            return Ok(Some(message));
        }
        if let Some(question) = inner.commands.next() {
            return Ok(Some(question));
        }
        Ok(inner.lists.pop_first().map(|(_, list)| FromServer::Assignment(list)))
    }

    pub(super) fn run_command(
        &self,
        replica_id: ReplicaId,
        command: Vec<String>,
        deadline: Duration,
    ) -> Result<oneshot::Receiver<ExecEnd>, ExecError> {
        let mut inner = self.lock();
        if inner.over {
            return Err(ExecError::Detached);
        }
        inner.last_request += 1;
        let question = exec::question(inner.last_request, replica_id, command, deadline);
        let answer = inner.commands.ask(question);
        drop(inner);
        self.wake.notify_one();
        answer
    }

    /// A command has ended.
    pub(super) fn exec_result(&self, answer: ExecAnswer) {
        self.lock().commands.answered(answer);
    }

    pub(super) fn open_log(
        self: &Arc<Self>,
        place: LogPlace,
        replica_id: ReplicaId,
        tail_lines: u32,
        follow: bool,
    ) -> Result<LogStream, LogError> {
        let mut inner = self.lock();
        if inner.over {
            return Err(LogError::Detached);
        }
        if inner.logs.len() >= MAX_LOGS {
            return Err(LogError::TooMany);
        }
        inner.last_request += 1;
        let request = inner.last_request;
        let mailbox = Arc::downgrade(self);
        let (sink, stream) = logs::channel(place, move || {
            if let Some(mailbox) = mailbox.upgrade() {
                mailbox.cancel_log(request);
            }
        });
        inner.logs.insert(request, Some(sink));
        inner.log_messages.push_back(FromServer::LogRequest(LogQuestion { request, replica_id, tail_lines, follow }));
        drop(inner);
        self.wake.notify_one();
        Ok(stream)
    }

    fn cancel_log(&self, request: u64) {
        let mut inner = self.lock();
        // A log that has ended by itself needs no cancelling; one that was cancelled before, no second time.
        let Some(Some(_)) = inner.logs.get(&request) else { return };
        let unsent = inner
            .log_messages
            .iter()
            .position(|message| matches!(message, FromServer::LogRequest(question) if question.request == request));
        match unsent {
            Some(at) => {
                inner.log_messages.remove(at);
                inner.logs.remove(&request);
            }
            None => {
                inner.logs.insert(request, None);
                inner.log_messages.push_back(FromServer::LogCancel { request });
            }
        }
        drop(inner);
        self.wake.notify_one();
    }

    /// A piece of a log has arrived.
    pub(super) fn log_chunk(&self, chunk: LogChunkData) {
        let mut inner = self.lock();
        // Of a log that was cancelled, pieces may still be on their way.
        let Some(Some(sink)) = inner.logs.get(&chunk.request) else { return };
        let mut wanted = true;
        if !chunk.data.is_empty() {
            wanted = sink.data(chunk.data);
        }
        if let Some(error) = chunk.error {
            sink.fail(LogError::Agent(error));
            inner.logs.remove(&chunk.request);
        } else if chunk.end {
            inner.logs.remove(&chunk.request);
        } else if !wanted {
            drop(inner);
            self.cancel_log(chunk.request);
        }
    }

    /// The session is over: nobody will get anything from it any more.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.over = true;
        inner.lists.clear();
        inner.log_messages.clear();
        inner.commands.close();
        for sink in std::mem::take(&mut inner.logs).into_values().flatten() {
            sink.fail(LogError::Detached);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change under the lock is whole at each point where it could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use fogline_core::assignment::{Assignment, Authority};
    use fogline_core::id::IdSource;
    use fogline_core::time::Timestamp;
    use futures_util::StreamExt;

    use super::*;
    use crate::agents::log_budget::LogBudget;

    fn list(node_id: NodeId, generation: u64) -> NodeAssignment {
        let authority = Authority { cluster_id: "c".to_owned(), epoch: 1, holder: "h".to_owned(), generation };
        NodeAssignment { authority, node_id, assignment: Assignment::default() }
    }

    fn id<T: fogline_core::id::NewId>() -> T {
        IdSource::new(1).next(Timestamp::from_micros(1))
    }

    /// Of a budget that nobody else shares.
    fn place() -> LogPlace {
        Arc::new(LogBudget::default()).place(id()).expect("room")
    }

    fn all(mailbox: &Mailbox) -> Vec<FromServer> {
        std::iter::from_fn(|| mailbox.next().expect("not ended")).collect()
    }

    #[test]
    fn only_the_latest_list_of_a_node_is_sent() {
        let (mailbox, node) = (Mailbox::new(1), id());
        for generation in 1..1_000 {
            mailbox.publish(list(node, generation));
        }
        assert_eq!(all(&mailbox), [FromServer::Assignment(list(node, 999))]);
    }

    #[test]
    fn a_log_that_is_closed_before_it_was_asked_for_costs_nothing() {
        let mailbox = Mailbox::new(1);
        for _ in 0..MAX_LOGS * 3 {
            drop(mailbox.open_log(place(), id(), 10, true).expect("room"));
        }
        assert_eq!(all(&mailbox), []);
    }

    #[test]
    fn open_logs_have_a_limit_and_a_closed_one_makes_room_once_its_agent_is_told() {
        let mailbox = Mailbox::new(1);
        let mut open: Vec<_> =
            (0..MAX_LOGS).map(|_| mailbox.open_log(place(), id(), 10, true).expect("room")).collect();
        assert_eq!(all(&mailbox).len(), MAX_LOGS);
        assert_eq!(mailbox.open_log(place(), id(), 10, true).err(), Some(LogError::TooMany));
        open.pop();
        assert_eq!(mailbox.open_log(place(), id(), 10, true).err(), Some(LogError::TooMany));
        assert_eq!(all(&mailbox), [FromServer::LogCancel { request: MAX_LOGS as u64 }]);
        assert!(mailbox.open_log(place(), id(), 10, true).is_ok());
    }

    #[tokio::test]
    async fn a_log_ends_as_its_agent_says() {
        let mailbox = Mailbox::new(1);
        let chunk = |request, data: &'static str, end, error: Option<&str>| LogChunkData {
            request,
            data: Bytes::from_static(data.as_bytes()),
            end,
            error: error.map(str::to_owned),
        };
        let good = mailbox.open_log(place(), id(), 10, false).expect("room");
        mailbox.log_chunk(chunk(1, "a", false, None));
        mailbox.log_chunk(chunk(1, "b", true, None));
        assert_eq!(good.collect::<Vec<_>>().await, [Ok(Bytes::from("a")), Ok(Bytes::from("b"))]);

        let bad = mailbox.open_log(place(), id(), 10, false).expect("room");
        mailbox.log_chunk(chunk(2, "", true, Some("no such replica")));
        assert_eq!(bad.collect::<Vec<_>>().await, [Err(LogError::Agent("no such replica".to_owned()))]);

        let cut = mailbox.open_log(place(), id(), 10, false).expect("room");
        mailbox.close();
        assert_eq!(cut.collect::<Vec<_>>().await, [Err(LogError::Detached)]);
        assert_eq!(mailbox.open_log(place(), id(), 10, false).err(), Some(LogError::Detached));
    }
}
