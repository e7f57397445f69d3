//! How the session of an agent or a proxy begins and ends.
//!
//! Invariant: whoever says nothing, or something else than a greeting, is not kept waiting for; whoever comes to a server
//! that does not lead is told who does.

use std::time::Duration;

use fogline_api::protocol::WireError;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::leadership::{Leadership, Mandate};

/// How long somebody has to say hello, or to take the last word.
const LIMIT: Duration = Duration::from_secs(10);

/// What is on its way to the other end.
pub(crate) type Outgoing<M> = mpsc::Sender<Result<M, Status>>;

/// Who attaches, for the log: `an agent`, `a proxy`.
pub(crate) type Party = &'static str;

/// Waits for the greeting. `None` where the other end has gone.
pub(crate) async fn greeting<W, Said, Greeting>(
    incoming: &mut Streaming<W>,
    hello: impl FnOnce(Said) -> Option<Greeting>,
) -> Result<Greeting, Option<Status>>
where
    Said: TryFrom<W, Error = WireError>,
{
    match timeout(LIMIT, incoming.message()).await {
        Err(_) => Err(Some(Status::deadline_exceeded("no Hello within 10 s"))),
        Ok(Err(_) | Ok(None)) => Err(None),
        Ok(Ok(Some(message))) => match Said::try_from(message) {
            Ok(said) => hello(said).ok_or_else(|| Some(Status::invalid_argument("the first message must be Hello"))),
            Err(error) => Err(Some(Status::invalid_argument(format!("cannot read Hello: {error}")))),
        },
    }
}

/// Why somebody who belongs to another cluster is not let in.
pub(crate) fn belongs_elsewhere(mandate: &Mandate, who: &str, theirs: Option<&String>) -> Option<Status> {
    let theirs = theirs.filter(|theirs| **theirs != mandate.cluster_id())?;
    Some(Status::failed_precondition(format!(
        "this {who} belongs to cluster {theirs}, and this server leads cluster {}: give the {who} the address of a server \
         of its cluster, or a fresh data directory if it should join this one",
        mandate.cluster_id()
    )))
}

/// Says who leads instead, where that is known.
pub(crate) async fn turn_away<M>(
    party: Party,
    leadership: &Leadership,
    outgoing: &Outgoing<M>,
    not_leader: impl FnOnce(Option<String>) -> M,
) {
    let leader = leadership.leader().map(|leader| leader.agents.clone()).filter(|address| !address.is_empty());
    tracing::debug!(leader, "{party} was turned away: this server does not lead");
    // Whether it arrives or not, there is nothing more to say.
    let _ = timeout(LIMIT, outgoing.send(Ok(not_leader(leader)))).await;
}

/// The last word. Without one, the other end has ended the session.
pub(crate) async fn finish<M>(party: Party, outgoing: &Outgoing<M>, session: Option<u64>, end: Option<Status>) {
    match end {
        Some(status) => {
            tracing::info!(session, reason = status.message(), "the session of {party} has ended");
            // Whoever has gone away needs no reason.
            let _ = timeout(LIMIT, outgoing.send(Err(status))).await;
        }
        None => tracing::info!(session, "{party} has detached"),
    }
}
