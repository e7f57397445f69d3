//! One proxy's stream, from its greeting to its end.
//!
//! One task, one `select!`: it never waits for one thing while another is due, so a slow proxy's routes do not keep its
//! reports from being heard. Tests: `tests/it/proxies`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fogline_api::protocol::proxy::{FromProxy, FromServer, Greeting, ProxyMessage, ServerMessage};
use fogline_core::command::{Command, Request};
use fogline_core::id::ReplicaId;
use fogline_core::traffic::TrafficReport;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tonic::{Code, Status, Streaming};

use super::registry::Attached;
use super::service::ProxiesConfig;
use super::wakes::Wakes;
use crate::attach::{self, Right, belongs_elsewhere, finish, stepped_down, turn_away};
use crate::leadership::Term;
use crate::writer::WriteError;

/// Who attaches here.
const PROXY: attach::Party = "a proxy";

/// How long to wait before a busy writer is asked again.
const RETRY: Duration = Duration::from_millis(100);

/// How often a proxy is told the whole table again though nothing has changed.
const REPEAT: Duration = Duration::from_secs(30);

/// Silence after which a session is given up: proxies report every second.
const SILENCE: Duration = Duration::from_secs(15);

/// Replicas that one proxy may be done with at once.
const MOST_LET_GO: usize = 100_000;

/// What a proxy may say of itself.
const MOST_BYTES_OF_NAME: usize = 200;
const MOST_ADDRESSES: usize = 64;
const MOST_BYTES_OF_ADDRESS: usize = 300;

type Outgoing = attach::Outgoing<ServerMessage>;

/// Talks to one proxy until either side ends it, or this server does not lead any more.
pub(super) async fn run(
    config: Arc<ProxiesConfig>,
    right: Right,
    mut incoming: Streaming<ProxyMessage>,
    outgoing: Outgoing,
) {
    let hello = |said| if let FromProxy::Hello(greeting) = said { Some(greeting) } else { None };
    let greeting = match attach::greeting(&mut incoming, hello).await {
        Ok(greeting) => greeting,
        Err(end) => return finish(PROXY, &outgoing, None, end).await,
    };
    let turn_away =
        || turn_away(PROXY, &config.leadership, &outgoing, |leader| (&FromServer::NotLeader { leader }).into());
    let Some(term) = config.leadership.term() else { return turn_away().await };
    // From here on every word is this term's.
    if right.set(Arc::clone(&term.mandate)).is_err() {
        return;
    }
    let session = tokio::select! {
        biased;
        () = term.mandate.over() => return turn_away().await,
        session = let_in(&config, &term, greeting) => match session {
            Ok(session) => session,
            Err(end) => return finish(PROXY, &outgoing, None, Some(end)).await,
        },
    };
    let end = tokio::select! {
        biased;
        () = term.mandate.over() => Some(stepped_down()),
        end = attached(&config, &term, &session, &mut incoming, &outgoing) => end,
    };
    leave(&term, &session).await;
    finish(PROXY, &outgoing, Some(session.number), end).await;
}

/// Looks at what the proxy says of itself, and waits until nothing is left of an earlier session of its name, unless that
/// one is alive.
async fn let_in(config: &ProxiesConfig, term: &Term, greeting: Greeting) -> Result<Arc<Attached>, Status> {
    check(&greeting).map_err(Status::invalid_argument)?;
    if let Some(refusal) = belongs_elsewhere(&term.mandate, "proxy", greeting.cluster_id.as_ref()) {
        tracing::error!(reason = refusal.message(), "a proxy must not be led by this server");
        return Err(refusal);
    }
    term.proxies.attach(greeting, &config.clock).await
}

fn check(greeting: &Greeting) -> Result<(), String> {
    let is_text = |text: &str, most: usize| !text.is_empty() && text.len() <= most && !text.contains(char::is_control);
    if !is_text(&greeting.name, MOST_BYTES_OF_NAME) || !is_text(&greeting.version, MOST_BYTES_OF_NAME) {
        return Err(format!("a proxy's name and version are 1 to {MOST_BYTES_OF_NAME} bytes in one line"));
    }
    let mut addresses = greeting.http.iter().chain(&greeting.https);
    if greeting.http.len() + greeting.https.len() > MOST_ADDRESSES
        || !addresses.all(|address| is_text(address, MOST_BYTES_OF_ADDRESS))
    {
        return Err(format!(
            "a proxy listens on at most {MOST_ADDRESSES} addresses of 1 to {MOST_BYTES_OF_ADDRESS} bytes"
        ));
    }
    Ok(())
}

/// From the first command about it to the end. `None` when the proxy has ended it.
async fn attached(
    config: &ProxiesConfig,
    term: &Arc<Term>,
    session: &Arc<Attached>,
    incoming: &mut Streaming<ProxyMessage>,
    outgoing: &Outgoing,
) -> Option<Status> {
    // Before it gets the table: whoever may send requests to a replica is waited for before that one is stopped.
    if let Err(end) = submit(term, || Command::AttachProxy { proxy: session.greeting.name.clone() }).await {
        return Some(end);
    }
    let Greeting { name, version, .. } = &session.greeting;
    tracing::info!(session = session.number, version, name, "a proxy has attached");
    let welcome = FromServer::Welcome { cluster_id: term.mandate.cluster_id().to_owned(), epoch: term.mandate.epoch() };
    if outgoing.send(Ok((&welcome).into())).await.is_err() {
        return None;
    }
    term.traffic.attached(session.number);
    let end = talk(config, term, session, incoming, outgoing).await;
    term.traffic.detached(session.number);
    end
}

/// Nothing of it is left when this returns, but what core remembers for a while.
async fn leave(term: &Arc<Term>, session: &Arc<Attached>) {
    // Where that cannot be said, nobody decides anything any more.
    let _ = submit(term, || Command::DetachProxy { proxy: session.greeting.name.clone() }).await;
    term.proxies.detach(session);
    session.end();
}

/// Has a command about the proxy decided, however busy the writer is.
async fn submit(term: &Term, command: impl Fn() -> Command) -> Result<(), Status> {
    loop {
        match term.desk.submit(Request::agent(command())).await {
            Ok(_) => return Ok(()),
            Err(WriteError::Busy) => tokio::time::sleep(RETRY).await,
            Err(WriteError::NotLeader { .. } | WriteError::Stopping) => return Err(stepped_down()),
            Err(WriteError::Rejected(rejection)) => return Err(Status::invalid_argument(rejection.to_string())),
            Err(error) => return Err(Status::unavailable(error.to_string())),
        }
    }
}

/// From the welcome to the end.
async fn talk(
    config: &ProxiesConfig,
    term: &Arc<Term>,
    session: &Arc<Attached>,
    incoming: &mut Streaming<ProxyMessage>,
    outgoing: &Outgoing,
) -> Option<Status> {
    let mut repeat = interval(REPEAT);
    repeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut wakes = Wakes::new(term.desk.clone(), config.clock.now());
    let mut let_go: Vec<ReplicaId> = Vec::new();
    let mut next: VecDeque<ServerMessage> = VecDeque::new();
    let mut heard = Instant::now();
    loop {
        if next.is_empty() {
            match session.mailbox.next() {
                Ok(message) => next.extend(message.iter().flat_map(FromServer::messages)),
                Err(end) => return Some(end),
            }
        }
        tokio::select! {
            permit = outgoing.reserve(), if !next.is_empty() => {
                let Ok(permit) = permit else { return None };
                if let Some(message) = next.pop_front() {
                    permit.send(Ok(message));
                }
            }
            () = session.mailbox.rung() => {
                if let Some(end) = session.mailbox.ended() {
                    return Some(end);
                }
            }
            message = incoming.message() => {
                heard = Instant::now();
                let now = config.clock.now();
                session.hear(now);
                let message = match message {
                    Ok(Some(message)) => message,
                    // A message that was not taken in for its size; all else means that the connection is gone.
                    Err(status) if status.code() == Code::OutOfRange => return Some(status),
                    Ok(None) | Err(_) => return None,
                };
                match FromProxy::try_from(message) {
                    Ok(FromProxy::Hello(_)) => return Some(Status::invalid_argument("Hello was said before")),
                    Ok(FromProxy::Wake { deployment_id, held }) => {
                        let owner = term.traffic.owner(deployment_id);
                        wakes.wake(deployment_id, owner, held, now);
                    }
                    Ok(FromProxy::Report(report)) => {
                        if let Err(end) = take_in(term, session, report, &mut let_go) {
                            return Some(end);
                        }
                    }
                    Err(error) => return Some(Status::invalid_argument(error.to_string())),
                }
            }
            () = wakes.answered(&session.mailbox, &term.traffic) => {}
            _ = repeat.tick() => {
                if let Err(end) = whole_table(term, session).await {
                    return Some(end);
                }
            }
            () = outgoing.closed() => return None,
            () = sleep_until(heard + SILENCE) => {
                let text = format!("nothing was heard of this proxy for {} s", SILENCE.as_secs());
                return Some(Status::deadline_exceeded(text));
            }
        }
    }
}

/// Has the whole table put into the mailbox, as it is between two batches.
async fn whole_table(term: &Term, session: &Arc<Attached>) -> Result<(), Status> {
    loop {
        let to = Arc::clone(session);
        match term.desk.view(move |cluster, _| to.mailbox.whole(cluster.services())).await {
            Ok(()) => return Ok(()),
            Err(WriteError::Busy) => tokio::time::sleep(RETRY).await,
            Err(_) => return Err(stepped_down()),
        }
    }
}

/// Takes in one report. `before` is what the proxy had let go of by the last.
fn take_in(term: &Term, session: &Attached, report: TrafficReport, before: &mut Vec<ReplicaId>) -> Result<(), Status> {
    if report.let_go.len() > MOST_LET_GO {
        let text = format!("a proxy lets go of at most {MOST_LET_GO} replicas, this one of {}", report.let_go.len());
        return Err(Status::invalid_argument(text));
    }
    let TrafficReport { services, let_go } = report;
    let signals = term.traffic.heard(session.number, services);
    // What is let go of is waited for; all else is only taken along.
    let at_once = let_go != *before;
    before.clone_from(&let_go);
    term.desk.traffic(&session.greeting.name, let_go, signals, at_once);
    Ok(())
}
