//! What an agent has seen, on its way to being durable.
//!
//! Observations go to the writer as they come, several at a time. One that the writer cannot take now (busy, disk full)
//! is offered again until it can: reports are levels, so late and out of order does no harm. Invariant: an observation's
//! number is given back only once it is durable, and at most [`MAX_UNDER_WAY`] are held. Tests: `tests/it/agents.rs`.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use fogline_api::protocol::NodeObservation;
use fogline_core::command::{Command, Outcome, Request};
use fogline_store::Store;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tonic::Status;

use super::unlisted;
use crate::clock::Clock;
use crate::presence::Presence;
use crate::writer::{Desk, WriteError};

/// Observations of one session that may wait at the same time.
const MAX_UNDER_WAY: usize = 64;

/// How long to wait before an observation is offered to the writer again.
const RETRY: Duration = Duration::from_secs(1);

type UnderWay = Pin<Box<dyn Future<Output = Result<u64, Status>> + Send>>;

/// The observations of one session.
pub(super) struct Observations {
    store: Store,
    desk: Desk,
    presence: Presence,
    clock: Clock,
    under_way: FuturesUnordered<UnderWay>,
    /// Whether some had to be dropped. The agent sends everything again when it attaches anew.
    lossy: bool,
}

impl Observations {
    pub(super) fn new(store: Store, desk: Desk, presence: Presence, clock: Clock) -> Self {
        Self { store, desk, presence, clock, under_way: FuturesUnordered::new(), lossy: false }
    }

    /// Takes one on. Beyond the limit it is dropped: the stream must go on being read, for it also carries the signs
    /// of life, and a node must not be taken for dead because the server's disk is full.
    pub(super) fn push(&mut self, observation: NodeObservation) {
        if self.under_way.len() >= MAX_UNDER_WAY {
            self.lossy = true;
            return;
        }
        let (store, desk) = (self.store.clone(), self.desk.clone());
        let (presence, clock) = (self.presence.clone(), self.clock.clone());
        self.under_way.push(Box::pin(save(store, desk, presence, clock, observation)));
    }

    /// The next one that is durable. Waits for ever when there is none.
    ///
    /// # Errors
    /// What the session must end with.
    pub(super) async fn next(&mut self) -> Result<u64, Status> {
        if self.under_way.is_empty() && self.lossy {
            return Err(Status::unavailable(
                "this server could not take in all observations for a while: attach again and send them anew",
            ));
        }
        match self.under_way.next().await {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }
}

async fn save(
    store: Store,
    desk: Desk,
    presence: Presence,
    clock: Clock,
    observation: NodeObservation,
) -> Result<u64, Status> {
    let NodeObservation { node_id, number, reports } = observation;
    loop {
        let request = Request::agent(Command::Observe { node_id, reports: reports.clone() });
        match desk.submit(request).await {
            Ok(committed) => {
                presence.reported(node_id, &reports, clock.now());
                if let Outcome::Observed { unlisted } = committed.outcome {
                    unlisted::look_up(&store, &desk, node_id, unlisted).await;
                }
                return Ok(number);
            }
            Err(WriteError::Busy | WriteError::StorageFull | WriteError::DatabaseAway | WriteError::OutcomeUnknown) => {
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(status_of(&error)),
        }
    }
}

/// How a session ends over a refusal.
pub(super) fn status_of(error: &WriteError) -> Status {
    let text = error.to_string();
    match error {
        WriteError::Rejected(_) => Status::invalid_argument(text),
        WriteError::Contradiction(_) => Status::internal(text),
        WriteError::Busy
        | WriteError::StorageFull
        | WriteError::DatabaseAway
        | WriteError::OutcomeUnknown
        | WriteError::NotLeader { .. }
        | WriteError::Stopping => Status::unavailable(text),
    }
}
