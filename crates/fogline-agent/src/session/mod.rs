//! The agent's side of its conversation with the leader.
//!
//! Decides purely whom to call, whom to obey and what to say again; streams, disks and clocks are elsewhere (`run.rs`,
//! or a simulation). Must never let a list through that is older than what was obeyed. Invariants: a report is repeated
//! until the leader has acknowledged it or a newer one; nothing is sent before `Welcome` but `Hello`. Tests:
//! `tests/it/session.rs`, and in each file.

mod authority;
mod backlog;

use std::collections::BTreeMap;
use std::sync::Arc;

use fogline_api::attach::Redial;
use fogline_api::protocol::{ExecQuestion, FromAgent, FromServer, Greeting, LogQuestion, NodeAssignment, Reception};
use fogline_core::assignment::Authority;
use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::observation::{NodeDeclaration, ReplicaReport};
use fogline_core::record::Runtimes;

use backlog::Backlog;

pub use authority::{Obeyed, Refusal};

/// How long a call may take until the server has welcomed the agent.
const WELCOME_WITHIN_US: u64 = 10_000_000;
/// Heartbeats are never further apart, whatever a server asks for.
const LONGEST_HEARTBEAT_US: u64 = 60_000_000;

/// What a session must know from the start.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Servers to call, each `address:port`.
    pub servers: Vec<String>,
    /// Version of the agent's program.
    pub version: String,
    /// The nodes that this agent presents.
    pub nodes: Vec<NodeDeclaration>,
    /// What was written down of whom it has obeyed.
    pub obeyed: Obeyed,
}

/// What a session is told.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// The call was taken.
    Connected,
    /// The call was not taken, or is over. Follows each `Connect` in the end, also after a `Disconnect`.
    Lost {
        /// Anything: spreads the agents that call again.
        random: u64,
    },
    /// The server has said something.
    Received(FromServer),
    /// The supervisor has news.
    #[expect(missing_docs, reason = "as in the supervisor's Report")]
    Report { node: Arc<str>, report: ReplicaReport },
    /// The supervisor has forgotten a replica.
    #[expect(missing_docs, reason = "the variant's doc says it")]
    Forgotten { replica_id: ReplicaId },
    /// What the agent's nodes can run replicas by has changed. They are declared anew.
    Offer(Runtimes),
    /// Time has passed.
    Tick,
}

/// What a session wants done, in this order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Call this server.
    #[expect(missing_docs, reason = "the variant's doc says it")]
    Connect { server: String },
    /// End the call. `Lost` is awaited.
    Disconnect,
    /// Say this.
    Send(FromAgent),
    /// Say how busy these nodes are.
    #[expect(missing_docs, reason = "the variant's doc says it")]
    Heartbeat { nodes: Vec<(Arc<str>, NodeId)> },
    /// Write down that this leader was seen, before anything that comes after it is done.
    Remember(Authority),
    /// Write this list down, and then act on it.
    #[expect(missing_docs, reason = "the variant's doc says it")]
    Obey { node: Arc<str>, list: NodeAssignment },
    /// Somebody is not obeyed.
    Refused(Refusal),
    /// The leader wants to read a replica's output.
    OpenLog(LogQuestion),
    /// The leader has read enough.
    #[expect(missing_docs, reason = "as in agent.proto")]
    CancelLog { request: u64 },
    /// The leader wants a command run in a replica.
    RunCommand(ExecQuestion),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Link {
    /// No call; the next one then.
    Idle { until_us: u64 },
    /// Calling, or waiting for the welcome.
    Calling { give_up_at_us: u64, open: bool },
    /// Welcomed.
    Attached { since_us: u64, heartbeat_at_us: u64 },
    /// The agent has ended the call, and waits for that.
    Closing,
}

/// The conversation with whoever leads.
#[derive(Debug)]
pub struct Session {
    version: String,
    nodes: Vec<NodeDeclaration>,
    obeyed: Obeyed,
    redial: Redial,
    backlog: Backlog,
    link: Link,
    heartbeat_us: u64,
    ids: BTreeMap<Arc<str>, NodeId>,
    attached_us: Option<u64>,
}

impl Session {
    /// One that calls at once.
    #[must_use]
    pub fn new(config: SessionConfig) -> Self {
        Self {
            version: config.version,
            nodes: config.nodes,
            obeyed: config.obeyed,
            redial: Redial::new(config.servers),
            backlog: Backlog::default(),
            link: Link::Idle { until_us: 0 },
            heartbeat_us: LONGEST_HEARTBEAT_US,
            ids: BTreeMap::new(),
            attached_us: None,
        }
    }

    /// Takes what happened, and everything that is due; says what is to be done now.
    pub fn step(&mut self, input: Input, now_us: u64) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::Connected => self.connected(&mut out),
            Input::Lost { random } => self.lost(random, now_us),
            Input::Received(message) => self.received(message, now_us, &mut out),
            Input::Report { node, report } => self.backlog.add(&node, report),
            Input::Offer(runtimes) => self.offer(runtimes, now_us, &mut out),
            Input::Forgotten { replica_id } => self.backlog.forget(replica_id),
            Input::Tick => {}
        }
        self.due(now_us, &mut out);
        out
    }

    /// When [`Input::Tick`] is wanted next.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        match self.link {
            Link::Idle { until_us } => Some(until_us),
            Link::Calling { give_up_at_us, .. } => Some(give_up_at_us),
            Link::Attached { heartbeat_at_us, .. } => {
                self.backlog.next_wake().into_iter().chain([heartbeat_at_us]).min()
            }
            Link::Closing => None,
        }
    }

    /// Whether a leader has welcomed this agent and is still there.
    #[must_use]
    pub const fn is_attached(&self) -> bool {
        matches!(self.link, Link::Attached { .. })
    }

    /// Whether the leader has acknowledged everything.
    #[must_use]
    pub fn is_through(&self) -> bool {
        self.backlog.is_empty()
    }

    /// The highest authority seen.
    #[must_use]
    pub const fn obeyed(&self) -> &Obeyed {
        &self.obeyed
    }

    fn connected(&mut self, out: &mut Vec<Output>) {
        let Link::Calling { open: open @ false, .. } = &mut self.link else { return };
        *open = true;
        out.push(Output::Send(FromAgent::Hello(Greeting {
            version: self.version.clone(),
            cluster_id: self.obeyed.highest().map(|authority| authority.cluster_id.clone()),
            obeyed: self.obeyed.highest().cloned(),
            nodes: self.nodes.clone(),
        })));
    }

    fn lost(&mut self, random: u64, now_us: u64) {
        if matches!(self.link, Link::Idle { .. }) {
            return;
        }
        let attached_us = match self.link {
            Link::Attached { since_us, .. } => Some(now_us.saturating_sub(since_us)),
            _ => self.attached_us.take(),
        };
        let pause_us = self.redial.pause_us(attached_us, random);
        self.link = Link::Idle { until_us: now_us.saturating_add(pause_us) };
    }

    /// What a node is, is said at the beginning of a call only.
    fn offer(&mut self, runtimes: Runtimes, now_us: u64, out: &mut Vec<Output>) {
        let is_new = self.nodes.iter().any(|node| node.runtimes != runtimes);
        for node in &mut self.nodes {
            node.runtimes = runtimes;
        }
        if is_new && matches!(self.link, Link::Calling { .. } | Link::Attached { .. }) {
            self.disconnect(now_us, out);
        }
    }

    fn disconnect(&mut self, now_us: u64, out: &mut Vec<Output>) {
        if let Link::Attached { since_us, .. } = self.link {
            self.attached_us = Some(now_us.saturating_sub(since_us));
        }
        self.link = Link::Closing;
        out.push(Output::Disconnect);
    }

    fn received(&mut self, message: FromServer, now_us: u64, out: &mut Vec<Output>) {
        match (message, self.link) {
            // What arrives after the agent has hung up is of nobody's concern.
            (_, Link::Idle { .. } | Link::Closing) => {}
            (FromServer::Welcome(reception), Link::Calling { open: true, .. }) => {
                self.welcomed(reception, now_us, out);
            }
            (FromServer::NotLeader { leader }, _) => {
                self.redial.follow(leader);
                self.disconnect(now_us, out);
            }
            (FromServer::Assignment(list), Link::Attached { .. }) => self.assigned(list, now_us, out),
            (FromServer::Acknowledge { number }, Link::Attached { .. }) => self.backlog.acknowledged(number),
            (FromServer::LogRequest(question), Link::Attached { .. }) => out.push(Output::OpenLog(question)),
            (FromServer::ExecRequest(question), Link::Attached { .. }) => out.push(Output::RunCommand(question)),
            (FromServer::LogCancel { request }, _) => out.push(Output::CancelLog { request }),
            // A second welcome is the first one, doubled.
            (FromServer::Welcome(_), _) => {}
            (FromServer::Assignment(_), Link::Calling { .. }) => out.push(Output::Refused(Refusal::NotWelcomed)),
            (
                FromServer::Acknowledge { .. } | FromServer::LogRequest(_) | FromServer::ExecRequest(_),
                Link::Calling { .. },
            ) => {}
        }
    }

    fn welcomed(&mut self, reception: Reception, now_us: u64, out: &mut Vec<Output>) {
        match self.obeyed.raise(&reception.authority) {
            Ok(true) => out.push(Output::Remember(reception.authority)),
            Ok(false) => {}
            Err(refusal) => {
                out.push(Output::Refused(refusal));
                self.disconnect(now_us, out);
                return;
            }
        }
        self.heartbeat_us = u64::try_from(reception.heartbeat_interval.as_micros())
            .unwrap_or(LONGEST_HEARTBEAT_US)
            .clamp(1, LONGEST_HEARTBEAT_US);
        self.ids.clear();
        self.backlog.restart();
        for node in &self.nodes {
            if let Some(id) = reception.node_ids.get(&node.name) {
                let name: Arc<str> = node.name.as_str().into();
                self.backlog.present(&name);
                self.ids.insert(name, *id);
            }
        }
        self.link = Link::Attached { since_us: now_us, heartbeat_at_us: now_us };
    }

    fn assigned(&mut self, list: NodeAssignment, now_us: u64, out: &mut Vec<Output>) {
        let Some(node) = self.ids.iter().find(|(_, id)| **id == list.node_id).map(|(node, _)| Arc::clone(node)) else {
            out.push(Output::Refused(Refusal::UnknownNode { node_id: list.node_id }));
            return;
        };
        match self.obeyed.accept(&node, &list.authority) {
            Ok(()) => out.push(Output::Obey { node, list }),
            // A message that was overtaken. The newer one has been obeyed.
            Err(refusal @ Refusal::OldGeneration { .. }) => out.push(Output::Refused(refusal)),
            Err(refusal) => {
                out.push(Output::Refused(refusal));
                self.disconnect(now_us, out);
            }
        }
    }

    fn due(&mut self, now_us: u64, out: &mut Vec<Output>) {
        match &mut self.link {
            Link::Idle { until_us } => {
                if now_us >= *until_us {
                    if let Some(server) = self.redial.target() {
                        let give_up_at_us = now_us.saturating_add(WELCOME_WITHIN_US);
                        self.link = Link::Calling { give_up_at_us, open: false };
                        out.push(Output::Connect { server });
                    } else {
                        *until_us = u64::MAX;
                    }
                }
            }
            Link::Calling { give_up_at_us, .. } => {
                if now_us >= *give_up_at_us {
                    self.disconnect(now_us, out);
                }
            }
            Link::Attached { heartbeat_at_us, .. } => {
                if now_us >= *heartbeat_at_us {
                    *heartbeat_at_us = now_us.saturating_add(self.heartbeat_us);
                    let nodes = self.ids.iter().map(|(name, id)| (Arc::clone(name), *id)).collect();
                    out.push(Output::Heartbeat { nodes });
                }
                let observations = self.backlog.due(&self.ids, now_us);
                out.extend(observations.into_iter().map(|one| Output::Send(FromAgent::Observation(one))));
            }
            Link::Closing => {}
        }
    }
}
