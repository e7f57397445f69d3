//! One agent's stream, from its greeting to its end.
//!
//! One task, one `select!`: it never waits for one thing while another is due, so a slow agent's lists do not keep its
//! heartbeats from being heard, and the other way round. Tests: `tests/it/agents.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fogline_api::protocol::{AgentMessage, FromAgent, FromServer, Greeting, NodeAssignment, Reception, ServerMessage};
use fogline_core::command::{Command, Outcome, Request};
use fogline_core::id::NodeId;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tonic::{Status, Streaming};

use super::authority::refusal;
use super::mailbox::Mailbox;
use super::observations::{Observations, status_of};
use super::service::AgentsConfig;
use crate::attach::{self, Right, finish, stepped_down, turn_away};
use crate::leadership::Term;
use crate::writer::WriteError;

/// Who attaches here.
const AGENT: attach::Party = "an agent";

/// Nodes that one agent may present.
const MAX_NODES: usize = 1_000;

/// Acknowledgements that may wait for an agent to read them.
const MAX_UNSENT: usize = 4_096;

/// How long to wait before a busy writer is asked again.
const RETRY: Duration = Duration::from_millis(100);

/// How often an agent is told its lists again though nothing has changed.
const REPEAT: Duration = Duration::from_secs(10);

/// Silence after which a session is given up, in heartbeats. The connection's own keep-alive is quicker to notice a
/// dead peer; this is for one that lives and says nothing.
const SILENT_HEARTBEATS: u32 = 10;

type Outgoing = attach::Outgoing<ServerMessage>;

/// What a session presents, once it is let in.
struct Presented {
    nodes: Vec<NodeId>,
    known: BTreeSet<NodeId>,
}

/// Talks to one agent until either side ends it, or this server does not lead any more.
pub(super) async fn run(
    config: Arc<AgentsConfig>,
    right: Right,
    mut incoming: Streaming<AgentMessage>,
    outgoing: Outgoing,
) {
    let hello = |said| if let FromAgent::Hello(greeting) = said { Some(greeting) } else { None };
    let greeting = match attach::greeting(&mut incoming, hello).await {
        Ok(greeting) => greeting,
        Err(end) => return finish(AGENT, &outgoing, None, end).await,
    };
    let turn_away =
        || turn_away(AGENT, &config.leadership, &outgoing, |leader| (&FromServer::NotLeader { leader }).into());
    let Some(term) = config.leadership.term() else { return turn_away().await };
    // From here on every word is this term's.
    if right.set(Arc::clone(&term.mandate)).is_err() {
        return;
    }
    let mailbox = term.registry.mailbox();
    let let_in = tokio::select! {
        biased;
        () = term.mandate.over() => return turn_away().await,
        let_in = let_in(&config, &term, &mailbox, greeting, &outgoing) => let_in,
    };
    let end = match let_in {
        Ok(presented) => {
            let end = tokio::select! {
                biased;
                () = term.mandate.over() => Some(stepped_down()),
                end = talk(&config, &term, &mailbox, &presented, &mut incoming, &outgoing) => end,
            };
            term.registry.detach(&mailbox, &presented.nodes);
            term.presence.detached(presented.nodes.iter().copied());
            config.sessions(-1);
            end
        }
        Err(end) => end,
    };
    mailbox.close();
    finish(AGENT, &outgoing, Some(mailbox.number), end).await;
}

/// From the greeting to the welcome.
async fn let_in(
    config: &AgentsConfig,
    term: &Term,
    mailbox: &Arc<Mailbox>,
    greeting: Greeting,
    outgoing: &Outgoing,
) -> Result<Presented, Option<Status>> {
    if greeting.nodes.is_empty() || greeting.nodes.len() > MAX_NODES {
        let text = format!("an agent presents 1 to {MAX_NODES} nodes, this one {}", greeting.nodes.len());
        return Err(Some(Status::invalid_argument(text)));
    }
    if let Some(refusal) = refusal(&term.mandate, &greeting) {
        tracing::error!(reason = refusal.message(), "an agent must not be led by this server");
        return Err(Some(refusal));
    }
    let Greeting { version, nodes, .. } = greeting;
    let names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
    let committed = match term.desk.submit(Request::agent(Command::DeclareNodes { nodes })).await {
        Ok(committed) => committed,
        Err(WriteError::NotLeader { .. }) => return Err(Some(stepped_down())),
        Err(error) => return Err(Some(status_of(&error))),
    };
    let Outcome::NodesDeclared { node_ids: nodes } = committed.outcome else {
        return Err(Some(Status::internal("the declaration was answered with something else; please report this")));
    };
    tracing::info!(session = mailbox.number, version, nodes = names.join(", "), "an agent has attached");
    let node_ids: BTreeMap<_, _> = names.into_iter().zip(nodes.iter().copied()).collect();
    let authority = term.mandate.authority(committed.revision);
    let welcome = Reception { authority, node_ids, heartbeat_interval: config.heartbeat_interval };
    if outgoing.send(Ok((&FromServer::Welcome(welcome)).into())).await.is_err() {
        return Err(None);
    }
    config.sessions(1);
    term.presence.attached(nodes.iter().copied(), config.clock.now());
    term.registry.attach(mailbox, &nodes);
    Ok(Presented { known: nodes.iter().copied().collect(), nodes })
}

/// From the welcome to the end. `None` when the agent has ended it.
async fn talk(
    config: &AgentsConfig,
    term: &Arc<Term>,
    mailbox: &Arc<Mailbox>,
    presented: &Presented,
    incoming: &mut Streaming<AgentMessage>,
    outgoing: &Outgoing,
) -> Option<Status> {
    if let Err(end) = all_lists(term, mailbox, &presented.nodes).await {
        return Some(end);
    }
    let mut repeating = JoinSet::new();
    repeating.spawn(repeat(Arc::clone(term), Arc::clone(mailbox), presented.nodes.clone()));
    let mut observations =
        Observations::new(config.store.clone(), term.desk.clone(), term.presence.clone(), config.clock.clone());
    let mut acknowledged: VecDeque<u64> = VecDeque::new();
    let mut next: Option<FromServer> = None;
    let silence = config.heartbeat_interval * SILENT_HEARTBEATS;
    let mut heard = Instant::now();
    loop {
        if next.is_none() {
            next = match acknowledged.pop_front() {
                Some(number) => Some(FromServer::Acknowledge { number }),
                None => match mailbox.next() {
                    Ok(message) => message,
                    Err(end) => return Some(end),
                },
            };
        }
        tokio::select! {
            permit = outgoing.reserve(), if next.is_some() => {
                let Ok(permit) = permit else { return None };
                if let Some(message) = next.take() {
                    permit.send(Ok((&message).into()));
                }
            }
            () = mailbox.changed() => {
                if let Some(end) = mailbox.ended() {
                    return Some(end);
                }
            }
            message = incoming.message() => {
                heard = Instant::now();
                match message {
                    Ok(Some(message)) => {
                        if let Err(end) = hear(config, term, mailbox, presented, &mut observations, message) {
                            return Some(end);
                        }
                    }
                    Ok(None) | Err(_) => return None,
                }
            }
            number = observations.next() => match number {
                Ok(_) if acknowledged.len() >= MAX_UNSENT => {
                    return Some(Status::resource_exhausted("this agent does not read what it is told"));
                }
                Ok(number) => acknowledged.push_back(number),
                Err(end) => return Some(end),
            },
            () = outgoing.closed() => return None,
            () = sleep_until(heard + silence) => {
                let text = format!("nothing was heard of this agent for {} s", silence.as_secs());
                return Some(Status::deadline_exceeded(text));
            }
        }
    }
}

/// Has the lists of all its nodes put into the mailbox, as they are between two batches.
async fn all_lists(term: &Arc<Term>, mailbox: &Arc<Mailbox>, nodes: &[NodeId]) -> Result<(), Status> {
    loop {
        let (to, nodes, asked) = (Arc::clone(mailbox), nodes.to_vec(), Arc::clone(term));
        let viewed = term.desk.view(move |cluster, _| {
            for node_id in nodes {
                let authority = asked.mandate.authority(asked.desk.revision());
                to.publish(NodeAssignment { authority, node_id, assignment: cluster.assignment(node_id) });
            }
        });
        match viewed.await {
            Ok(()) => return Ok(()),
            Err(WriteError::Busy) => tokio::time::sleep(RETRY).await,
            Err(error) => return Err(status_of(&error)),
        }
    }
}

/// Says every list again from time to time: a list is a level, so whatever an agent could not keep is mended by that.
async fn repeat(term: Arc<Term>, mailbox: Arc<Mailbox>, nodes: Vec<NodeId>) {
    loop {
        tokio::time::sleep(REPEAT).await;
        // Where it cannot be done now, the next time will do.
        let _ = all_lists(&term, &mailbox, &nodes).await;
    }
}

/// Takes in one message.
fn hear(
    config: &AgentsConfig,
    term: &Term,
    mailbox: &Mailbox,
    presented: &Presented,
    observations: &mut Observations,
    message: AgentMessage,
) -> Result<(), Status> {
    let not_yours = |node: NodeId| Status::permission_denied(format!("this session does not present node {node}"));
    match FromAgent::try_from(message).map_err(|error| Status::invalid_argument(error.to_string()))? {
        FromAgent::Hello(_) => Err(Status::invalid_argument("Hello was said before")),
        FromAgent::Heartbeat(loads) => {
            for load in loads {
                if !presented.known.contains(&load.node_id) {
                    return Err(not_yours(load.node_id));
                }
                term.presence.heartbeat(load.node_id, load.usage, &load.replicas, config.clock.now());
                term.desk.heartbeat(load.node_id, load.usage, load.replicas);
            }
            Ok(())
        }
        FromAgent::Observation(observation) => {
            if !presented.known.contains(&observation.node_id) {
                return Err(not_yours(observation.node_id));
            }
            observations.push(observation);
            Ok(())
        }
        FromAgent::LogChunk(chunk) => {
            mailbox.log_chunk(chunk);
            Ok(())
        }
        FromAgent::ExecResult(answer) => {
            mailbox.exec_result(answer);
            Ok(())
        }
    }
}
