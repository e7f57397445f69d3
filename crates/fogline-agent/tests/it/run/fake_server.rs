//! A fake of the server's side of the agent protocol: it remembers what it hears, acknowledges it, and sends the lists
//! that a test gives it. It runs on a runtime of its own, so that stopping it is as sudden as a kill.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fogline_api::protocol::agent_service_server::{AgentService, AgentServiceServer};
use fogline_api::protocol::{
    AgentMessage, FromAgent, FromServer, LogQuestion, NodeAssignment, NodeLoad, Reception, ServerMessage,
};
use fogline_core::assignment::{AssignedReplica, AssignedTemplate, Assignment, Authority, Want};
use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::observation::ReplicaReport;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::{Bench, DEADLINE};

pub const TOKEN: &str = "the agents' token";
const NODE_ID: &str = "00000000-0000-7000-8000-0000000000aa";

/// What a fake server has heard.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub hellos: u32,
    /// Calls without the token.
    pub refused: u32,
    /// Of each Hello that named one.
    pub obeyed_epochs: Vec<u64>,
    /// The newest of each replica.
    pub reports: BTreeMap<ReplicaId, ReplicaReport>,
    pub load: Option<NodeLoad>,
    pub logs: BTreeMap<u64, Vec<u8>>,
    pub log_ends: BTreeMap<u64, Option<String>>,
}

struct Shared {
    epoch: u64,
    seen: watch::Sender<Seen>,
    /// Everything that is said to an agent: all of it again to each that comes.
    said: watch::Sender<Vec<FromServer>>,
}

pub struct FakeServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl FakeServer {
    /// On a free port, or on the one that another had before.
    pub fn start(epoch: u64, address: Option<SocketAddr>) -> Self {
        let address = address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let shared = Arc::new(Shared { epoch, seen: watch::Sender::default(), said: watch::Sender::default() });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = std::net::TcpListener::bind(address).expect("the port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("bound");
        let service = AgentServiceServer::new(Fake(Arc::clone(&shared)));
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).expect("a listener"));
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await
        });
        Self { address, shared, runtime: Some(runtime) }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Ends it without a word. Gives the address back for the next.
    pub fn stop(mut self) -> SocketAddr {
        self.end();
        self.address
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime may not be dropped where something else is awaited.
            let ended = std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(10)));
            ended.join().expect("ended");
        }
    }

    pub fn seen(&self) -> Seen {
        self.shared.seen.borrow().clone()
    }

    /// Waits until `done` holds.
    pub async fn wait(&self, what: &str, done: impl Fn(&Seen) -> bool) -> Seen {
        let mut seen = self.shared.seen.subscribe();
        match tokio::time::timeout(DEADLINE, seen.wait_for(|seen| done(seen))).await {
            Ok(seen) => seen.expect("the fake lives").clone(),
            Err(_) => panic!("{what}: not within {DEADLINE:?}; seen: {:#?}", self.seen()),
        }
    }

    /// Sends a list of the node, now and to each agent that comes.
    pub fn assign(&mut self, bench: &Bench, generation: u64, list: &[(ReplicaId, Want)]) {
        let replicas = list.iter().map(|(replica_id, want)| AssignedReplica {
            replica_id: *replica_id,
            deployment_id: bench.deployment_id,
            revision: 1,
            want: *want,
        });
        let template = AssignedTemplate {
            deployment_name: "web".to_owned(),
            template: Arc::clone(&bench.template),
            image_digest: None,
        };
        let assignment =
            Assignment { replicas: replicas.collect(), templates: [((bench.deployment_id, 1), template)].into() };
        let authority = self.shared.authority(generation);
        self.say(FromServer::Assignment(NodeAssignment { authority, node_id: node_id(), assignment }));
    }

    pub fn ask_log(&mut self, request: u64, replica_id: ReplicaId) {
        self.say(FromServer::LogRequest(LogQuestion { request, replica_id, tail_lines: 10, follow: false }));
    }

    fn say(&self, message: FromServer) {
        self.shared.said.send_modify(|said| said.push(message));
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.end();
    }
}

fn node_id() -> NodeId {
    NODE_ID.parse().expect("an id")
}

impl Shared {
    fn authority(&self, generation: u64) -> Authority {
        Authority {
            cluster_id: "cluster".to_owned(),
            epoch: self.epoch,
            holder: format!("holder of {}", self.epoch),
            generation,
        }
    }

    fn hear(&self, message: FromAgent) -> Option<FromServer> {
        let mut answer = None;
        self.seen.send_modify(|seen| match message {
            FromAgent::Hello(hello) => {
                seen.hellos += 1;
                seen.obeyed_epochs.extend(hello.obeyed.map(|authority| authority.epoch));
                answer = Some(FromServer::Welcome(Reception {
                    authority: self.authority(0),
                    node_ids: hello.nodes.into_iter().map(|node| (node.name, node_id())).collect(),
                    heartbeat_interval: Duration::from_millis(100),
                }));
            }
            FromAgent::Heartbeat(mut loads) => seen.load = loads.pop(),
            FromAgent::Observation(observation) => {
                answer = Some(FromServer::Acknowledge { number: observation.number });
                for report in observation.reports {
                    let old = seen.reports.insert(report.replica_id, report.clone());
                    assert!(old.is_none_or(|old| old.seq <= report.seq), "reports go back");
                }
            }
            FromAgent::ExecResult(_) => {}
            FromAgent::LogChunk(chunk) => {
                seen.logs.entry(chunk.request).or_default().extend_from_slice(&chunk.data);
                if chunk.end {
                    seen.log_ends.insert(chunk.request, chunk.error);
                }
            }
        });
        answer
    }
}

struct Fake(Arc<Shared>);

#[tonic::async_trait]
impl AgentService for Fake {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<ServerMessage, Status>> + Send>>;

    async fn attach(&self, request: Request<Streaming<AgentMessage>>) -> Result<Response<Self::AttachStream>, Status> {
        let bearer = format!("Bearer {TOKEN}");
        if request.metadata().get("authorization").is_none_or(|shown| shown.as_bytes() != bearer.as_bytes()) {
            self.0.seen.send_modify(|seen| seen.refused += 1);
            return Err(Status::unauthenticated("no agent's token"));
        }
        let shared = Arc::clone(&self.0);
        let mut messages = request.into_inner();
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(async move {
            let mut said = shared.said.subscribe();
            let (mut sent, mut welcomed) = (0, false);
            loop {
                let next = said.borrow_and_update().get(sent).cloned().filter(|_| welcomed);
                if let Some(message) = next {
                    sent += 1;
                    let _ = sender.send(Ok((&message).into())).await;
                    continue;
                }
                tokio::select! {
                    message = messages.next() => {
                        let Some(Ok(message)) = message else { return };
                        let message = FromAgent::try_from(message).expect("a message that makes sense");
                        if let Some(answer) = shared.hear(message) {
                            let _ = sender.send(Ok((&answer).into())).await;
                            welcomed = true;
                        }
                    }
                    changed = said.changed() => {
                        if changed.is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
