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
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Status, Streaming};

use super::authority::Leadership;
use super::mailbox::Mailbox;
use super::observations::{Observations, status_of};
use super::service::AgentsConfig;
use crate::writer::{WriteError, Writer};

/// How long an agent has to say hello.
const HELLO_LIMIT: Duration = Duration::from_secs(10);

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

pub(super) type Outgoing = mpsc::Sender<Result<ServerMessage, Status>>;

/// What a session presents, once it is let in.
struct Presented {
    nodes: Vec<NodeId>,
    known: BTreeSet<NodeId>,
}

/// Talks to one agent until either side ends it.
pub(super) async fn run(config: Arc<AgentsConfig>, mut incoming: Streaming<AgentMessage>, outgoing: Outgoing) {
    let mailbox = config.registry.mailbox();
    let number = mailbox.number;
    let end = match let_in(&config, &mailbox, &mut incoming, &outgoing).await {
        Ok(presented) => {
            let end = talk(&config, &mailbox, &presented, &mut incoming, &outgoing).await;
            config.registry.detach(&mailbox, &presented.nodes);
            config.presence.detached(presented.nodes.iter().copied());
            config.sessions(-1);
            end
        }
        Err(end) => end,
    };
    mailbox.close();
    match end {
        Some(status) => {
            tracing::info!(session = number, reason = status.message(), "an agent's session has ended");
            // An agent that has gone away needs no reason.
            let _ = timeout(HELLO_LIMIT, outgoing.send(Err(status))).await;
        }
        None => tracing::info!(session = number, "an agent has detached"),
    }
}

/// From the greeting to the welcome.
async fn let_in(
    config: &AgentsConfig,
    mailbox: &Arc<Mailbox>,
    incoming: &mut Streaming<AgentMessage>,
    outgoing: &Outgoing,
) -> Result<Presented, Option<Status>> {
    let greeting = match timeout(HELLO_LIMIT, incoming.message()).await {
        Err(_) => return Err(Some(Status::deadline_exceeded("no Hello within 10 s"))),
        Ok(Err(_) | Ok(None)) => return Err(None),
        Ok(Ok(Some(message))) => match FromAgent::try_from(message) {
            Ok(FromAgent::Hello(greeting)) => greeting,
            Ok(_) => return Err(Some(Status::invalid_argument("the first message must be Hello"))),
            Err(error) => return Err(Some(Status::invalid_argument(format!("cannot read Hello: {error}")))),
        },
    };
    if greeting.nodes.is_empty() || greeting.nodes.len() > MAX_NODES {
        let text = format!("an agent presents 1 to {MAX_NODES} nodes, this one {}", greeting.nodes.len());
        return Err(Some(Status::invalid_argument(text)));
    }
    if let Some(refusal) = config.leadership.refusal(&greeting) {
        return Err(Some(refusal));
    }
    let Greeting { version, nodes, .. } = greeting;
    let names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
    let committed = match config.writer.submit(Request::agent(Command::DeclareNodes { nodes })).await {
        Ok(committed) => committed,
        Err(WriteError::NotLeader { leader }) => {
            // Whether it arrives or not, there is nothing more to say.
            let _ = outgoing.send(Ok((&FromServer::NotLeader { leader }).into())).await;
            return Err(None);
        }
        Err(error) => return Err(Some(status_of(&error))),
    };
    let Outcome::NodesDeclared { node_ids: nodes } = committed.outcome else {
        return Err(Some(Status::internal("the declaration was answered with something else; please report this")));
    };
    tracing::info!(session = mailbox.number, version, nodes = names.join(", "), "an agent has attached");
    let node_ids: BTreeMap<_, _> = names.into_iter().zip(nodes.iter().copied()).collect();
    let authority = config.leadership.authority(committed.revision);
    let welcome = Reception { authority, node_ids, heartbeat_interval: config.heartbeat_interval };
    if outgoing.send(Ok((&FromServer::Welcome(welcome)).into())).await.is_err() {
        return Err(None);
    }
    config.sessions(1);
    config.presence.attached(nodes.iter().copied(), config.clock.now());
    config.registry.attach(mailbox, &nodes);
    Ok(Presented { known: nodes.iter().copied().collect(), nodes })
}

/// From the welcome to the end. `None` when the agent has ended it.
async fn talk(
    config: &AgentsConfig,
    mailbox: &Arc<Mailbox>,
    presented: &Presented,
    incoming: &mut Streaming<AgentMessage>,
    outgoing: &Outgoing,
) -> Option<Status> {
    if let Err(end) = all_lists(&config.writer, &config.leadership, mailbox, &presented.nodes).await {
        return Some(end);
    }
    let mut repeating = JoinSet::new();
    repeating.spawn(repeat(
        config.writer.clone(),
        Arc::clone(&config.leadership),
        Arc::clone(mailbox),
        presented.nodes.clone(),
    ));
    let mut observations =
        Observations::new(config.store.clone(), config.writer.clone(), config.presence.clone(), config.clock.clone());
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
                        if let Err(end) = hear(config, mailbox, presented, &mut observations, message) {
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
async fn all_lists(
    writer: &Writer,
    leadership: &Arc<Leadership>,
    mailbox: &Arc<Mailbox>,
    nodes: &[NodeId],
) -> Result<(), Status> {
    loop {
        let (to, nodes) = (Arc::clone(mailbox), nodes.to_vec());
        let (asked, leadership) = (writer.clone(), Arc::clone(leadership));
        let viewed = writer.view(move |cluster, _| {
            for node_id in nodes {
                let authority = leadership.authority(asked.revision());
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
async fn repeat(writer: Writer, leadership: Arc<Leadership>, mailbox: Arc<Mailbox>, nodes: Vec<NodeId>) {
    loop {
        tokio::time::sleep(REPEAT).await;
        // Where it cannot be done now, the next time will do.
        let _ = all_lists(&writer, &leadership, &mailbox, &nodes).await;
    }
}

/// Takes in one message.
fn hear(
    config: &AgentsConfig,
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
                config.presence.heartbeat(load.node_id, load.usage, &load.replicas, config.clock.now());
                config.writer.heartbeat(load.node_id, load.usage, load.replicas);
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
    }
}
