//! The two kinds of messages of the stream, in core's words.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use fogline_core::assignment::Authority;
use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::observation::NodeDeclaration;

use super::assignment::NodeAssignment;
use super::exec::{ExecAnswer, ExecQuestion};
use super::field::{self, WireError};
use super::generated as wire;
use super::observation::{NodeLoad, NodeObservation};
use wire::{agent_message, server_message};

/// What an agent says.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "as in agent.proto")]
pub enum FromAgent {
    Hello(Greeting),
    Heartbeat(Vec<NodeLoad>),
    Observation(NodeObservation),
    LogChunk(LogChunkData),
    ExecResult(ExecAnswer),
}

/// What a server says.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "as in agent.proto")]
pub enum FromServer {
    Welcome(Reception),
    NotLeader { leader: Option<String> },
    Assignment(NodeAssignment),
    Acknowledge { number: u64 },
    LogRequest(LogQuestion),
    LogCancel { request: u64 },
    ExecRequest(ExecQuestion),
}

/// The content of `Hello`.
#[derive(Clone, PartialEq, Debug)]
pub struct Greeting {
    /// Version of the agent's program.
    pub version: String,
    /// The cluster that the agent belongs to; nothing before its first attach.
    pub cluster_id: Option<String>,
    /// The highest authority that it has obeyed.
    pub obeyed: Option<Authority>,
    /// The nodes it presents.
    pub nodes: Vec<NodeDeclaration>,
}

/// The content of `Welcome`.
#[derive(Clone, PartialEq, Debug)]
pub struct Reception {
    /// Who leads.
    pub authority: Authority,
    /// The ids of the declared nodes, by name.
    pub node_ids: BTreeMap<String, NodeId>,
    /// How often the agent should say that it lives; never zero.
    pub heartbeat_interval: Duration,
}

/// The content of `LogRequest`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as in agent.proto")]
pub struct LogQuestion {
    pub request: u64,
    pub replica_id: ReplicaId,
    pub tail_lines: u32,
    pub follow: bool,
}

/// The content of `LogChunk`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as in agent.proto")]
pub struct LogChunkData {
    pub request: u64,
    pub data: Bytes,
    pub end: bool,
    pub error: Option<String>,
}

/// The most lines that are read back of a log.
const MAX_TAIL_LINES: u32 = 10_000;

impl From<&FromAgent> for wire::AgentMessage {
    fn from(message: &FromAgent) -> Self {
        let message = match message {
            FromAgent::Hello(greeting) => agent_message::Message::Hello(wire::Hello {
                version: greeting.version.clone(),
                cluster_id: greeting.cluster_id.clone().unwrap_or_default(),
                obeyed: greeting.obeyed.as_ref().map(wire::Authority::from),
                nodes: greeting.nodes.iter().map(wire::NodeDeclaration::from).collect(),
            }),
            FromAgent::Heartbeat(nodes) => agent_message::Message::Heartbeat(wire::Heartbeat {
                nodes: nodes.iter().map(wire::NodeUsage::from).collect(),
            }),
            FromAgent::Observation(observation) => agent_message::Message::Observation(observation.into()),
            FromAgent::LogChunk(chunk) => agent_message::Message::LogChunk(wire::LogChunk {
                request: chunk.request,
                data: chunk.data.to_vec(),
                end: chunk.end,
                error: chunk.error.clone().unwrap_or_default(),
            }),
            FromAgent::ExecResult(answer) => agent_message::Message::ExecResult(answer.into()),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<wire::AgentMessage> for FromAgent {
    type Error = WireError;

    fn try_from(message: wire::AgentMessage) -> Result<Self, WireError> {
        match message.message.ok_or(WireError::UnknownMessage)? {
            agent_message::Message::Hello(hello) => {
                let mut names = BTreeSet::new();
                let mut nodes = Vec::with_capacity(hello.nodes.len());
                for node in hello.nodes {
                    let node = NodeDeclaration::try_from(node)?;
                    if !names.insert(node.name.clone()) {
                        return Err(WireError::Twice { field: "hello.nodes", value: node.name });
                    }
                    nodes.push(node);
                }
                Ok(Self::Hello(Greeting {
                    version: hello.version,
                    cluster_id: field::optional(hello.cluster_id),
                    obeyed: hello.obeyed.map(Authority::try_from).transpose()?,
                    nodes,
                }))
            }
            agent_message::Message::Heartbeat(heartbeat) => {
                heartbeat.nodes.into_iter().map(NodeLoad::try_from).collect::<Result<_, _>>().map(Self::Heartbeat)
            }
            agent_message::Message::Observation(observation) => observation.try_into().map(Self::Observation),
            agent_message::Message::LogChunk(chunk) => Ok(Self::LogChunk(LogChunkData {
                request: chunk.request,
                data: chunk.data.into(),
                end: chunk.end,
                error: field::optional(chunk.error),
            })),
            agent_message::Message::ExecResult(result) => result.try_into().map(Self::ExecResult),
        }
    }
}

impl From<&FromServer> for wire::ServerMessage {
    fn from(message: &FromServer) -> Self {
        let message = match message {
            FromServer::Welcome(reception) => server_message::Message::Welcome(wire::Welcome {
                authority: Some((&reception.authority).into()),
                node_ids: reception.node_ids.iter().map(|(name, id)| (name.clone(), id.to_string())).collect(),
                heartbeat_interval_ms: u32::try_from(reception.heartbeat_interval.as_millis())
                    .unwrap_or(u32::MAX)
                    .max(1),
            }),
            FromServer::NotLeader { leader } => {
                server_message::Message::NotLeader(wire::NotLeader { leader: leader.clone().unwrap_or_default() })
            }
            FromServer::Assignment(assignment) => server_message::Message::Assignment(assignment.into()),
            FromServer::Acknowledge { number } => {
                server_message::Message::Acknowledge(wire::Acknowledge { number: *number })
            }
            FromServer::LogRequest(question) => server_message::Message::LogRequest(wire::LogRequest {
                request: question.request,
                replica_id: question.replica_id.to_string(),
                tail: question.tail_lines,
                follow: question.follow,
            }),
            FromServer::LogCancel { request } => {
                server_message::Message::LogCancel(wire::LogCancel { request: *request })
            }
            FromServer::ExecRequest(question) => server_message::Message::ExecRequest(question.into()),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<wire::ServerMessage> for FromServer {
    type Error = WireError;

    fn try_from(message: wire::ServerMessage) -> Result<Self, WireError> {
        match message.message.ok_or(WireError::UnknownMessage)? {
            server_message::Message::Welcome(welcome) => {
                let mut node_ids = BTreeMap::new();
                for (name, id) in welcome.node_ids {
                    node_ids.insert(name, field::id("welcome.node_ids", &id)?);
                }
                if welcome.heartbeat_interval_ms == 0 {
                    let field = "welcome.heartbeat_interval_ms";
                    return Err(WireError::OutOfRange { field, value: "0".to_owned(), accepted: "1 or more" });
                }
                Ok(Self::Welcome(Reception {
                    authority: field::required("welcome.authority", welcome.authority)?.try_into()?,
                    node_ids,
                    heartbeat_interval: Duration::from_millis(welcome.heartbeat_interval_ms.into()),
                }))
            }
            server_message::Message::NotLeader(answer) => {
                Ok(Self::NotLeader { leader: field::optional(answer.leader) })
            }
            server_message::Message::Assignment(assignment) => assignment.try_into().map(Self::Assignment),
            server_message::Message::Acknowledge(done) => Ok(Self::Acknowledge { number: done.number }),
            server_message::Message::LogRequest(question) => {
                if question.tail > MAX_TAIL_LINES {
                    let value = question.tail.to_string();
                    return Err(WireError::OutOfRange { field: "log_request.tail", value, accepted: "0 to 10000" });
                }
                Ok(Self::LogRequest(LogQuestion {
                    request: question.request,
                    replica_id: field::id("log_request.replica_id", &question.replica_id)?,
                    tail_lines: question.tail,
                    follow: question.follow,
                }))
            }
            server_message::Message::LogCancel(cancel) => Ok(Self::LogCancel { request: cancel.request }),
            server_message::Message::ExecRequest(request) => request.try_into().map(Self::ExecRequest),
        }
    }
}

#[cfg(test)]
mod tests {
    use fogline_core::id::IdSource;
    use fogline_core::observation::{NodeUsage, ReplicaUsage};
    use fogline_core::quantity::{CpuMillis, Resources};
    use fogline_core::record::Runtimes;
    use fogline_core::spec::Runtime;
    use fogline_core::time::Timestamp;

    use super::*;

    fn authority() -> Authority {
        Authority { cluster_id: "c".to_owned(), epoch: 3, holder: "h".to_owned(), generation: 9 }
    }

    fn greeting() -> Greeting {
        Greeting {
            version: "0.1.0".to_owned(),
            cluster_id: Some("c".to_owned()),
            obeyed: Some(authority()),
            nodes: vec![NodeDeclaration {
                name: "one".to_owned(),
                region: "r".to_owned(),
                zone: "z".to_owned(),
                capacity: Resources { cpu_millis: CpuMillis(4_000), memory_mb: 8_192, gpu_units: 0, storage_gb: 50 },
                runtimes: Runtimes::of(&[Runtime::Process]),
                labels: [("disk".to_owned(), "ssd".to_owned())].into(),
            }],
        }
    }

    #[test]
    fn what_an_agent_says_comes_back_as_it_was() {
        let mut ids = IdSource::new(1);
        let at = Timestamp::from_micros(1_000_000);
        let load = NodeLoad {
            node_id: ids.next(at),
            usage: NodeUsage { cpu_percent: 12.5, memory_percent: 100.0 },
            replicas: vec![ReplicaUsage { replica_id: ids.next(at), cpu_millis: 10, memory_mb: 20 }],
        };
        let chunk = LogChunkData { request: 4, data: Bytes::from_static(b"line\n"), end: true, error: None };
        let first = Greeting { cluster_id: None, obeyed: None, ..greeting() };
        for sent in [
            FromAgent::Hello(greeting()),
            FromAgent::Hello(first),
            FromAgent::Heartbeat(vec![load]),
            FromAgent::Observation(NodeObservation { node_id: ids.next(at), number: 5, reports: Vec::new() }),
            FromAgent::LogChunk(chunk),
        ] {
            assert_eq!(FromAgent::try_from(wire::AgentMessage::from(&sent)), Ok(sent));
        }
    }

    #[test]
    fn what_a_server_says_comes_back_as_it_was() {
        let mut ids = IdSource::new(1);
        let at = Timestamp::from_micros(1_000_000);
        let reception = Reception {
            authority: authority(),
            node_ids: [("one".to_owned(), ids.next(at))].into(),
            heartbeat_interval: Duration::from_secs(3),
        };
        let question = LogQuestion { request: 1, replica_id: ids.next(at), tail_lines: 100, follow: true };
        for sent in [
            FromServer::Welcome(reception),
            FromServer::NotLeader { leader: None },
            FromServer::NotLeader { leader: Some("10.0.0.1:8001".to_owned()) },
            FromServer::Acknowledge { number: 6 },
            FromServer::LogRequest(question),
            FromServer::LogCancel { request: 1 },
        ] {
            assert_eq!(FromServer::try_from(wire::ServerMessage::from(&sent)), Ok(sent));
        }
    }

    #[test]
    fn empty_and_contradicting_messages_are_refused() {
        assert_eq!(FromAgent::try_from(wire::AgentMessage::default()), Err(WireError::UnknownMessage));
        assert_eq!(FromServer::try_from(wire::ServerMessage::default()), Err(WireError::UnknownMessage));
        let mut twice = greeting();
        twice.nodes.push(twice.nodes[0].clone());
        let error = FromAgent::try_from(wire::AgentMessage::from(&FromAgent::Hello(twice)));
        assert!(matches!(error, Err(WireError::Twice { .. })), "{error:?}");
    }
}
