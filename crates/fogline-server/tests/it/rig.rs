//! A real server on a real SQLite file in a directory of its own, and an agent that a test plays by hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fogline_api::protocol::agent_service_client::AgentServiceClient;
use fogline_api::protocol::{
    AgentMessage, FromAgent, FromServer, Greeting, NodeAssignment, NodeObservation, Reception, ServerMessage,
};
use fogline_core::assignment::Authority;
use fogline_core::command::{Actor, Command, IdempotencyKey, Outcome, Request};
use fogline_core::id::{DeploymentId, NodeId, ReplicaId, UserId};
use fogline_core::observation::{NodeDeclaration, ReplicaReport, ReportedState};
use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::record::{Role, Runtimes};
use fogline_core::spec::{DeploymentSpec, Runtime};
use fogline_core::state::DeploymentStatus;
use fogline_server::{Committed, Running, ServeError, ServerConfig, Shared, WriteError, start};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

/// Longest wait for anything. Nothing is expected to take that long; a loaded machine may.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for something that must come.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("{what} did not come"))
}

/// A server that is stopped with its test.
pub struct Rig {
    pub running: Running,
    pub admin: UserId,
    stop: CancellationToken,
    directory: Directory,
}

enum Directory {
    /// Removed with its test.
    Own(TempDir),
    /// Somebody else's.
    Given(PathBuf),
}

pub fn config(directory: &Path) -> ServerConfig {
    ServerConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        agent_listen: ([127, 0, 0, 1], 0).into(),
        admin_password: Some(SecretString::from("a password for tests")),
        ..ServerConfig::new(directory.to_owned())
    }
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(tempfile::tempdir().expect("a directory"), |_| {}).await
    }

    /// On a directory that may have been used before.
    pub async fn with(directory: TempDir, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = config(directory.path());
        change(&mut config);
        Self::start(config, Directory::Own(directory)).await
    }

    /// On a directory that stays.
    pub async fn at(directory: &Path) -> Self {
        Self::start(config(directory), Directory::Given(directory.to_owned())).await
    }

    async fn start(config: ServerConfig, directory: Directory) -> Self {
        let stop = CancellationToken::new();
        let running = start(config, stop.clone()).await.expect("the server starts");
        let view = running.shared().writer.view(|cluster, _| cluster.user_named("admin").map(|user| user.id));
        let admin = view.await.expect("a look").expect("the administrator");
        Self { running, admin, stop, directory }
    }

    pub fn shared(&self) -> &Arc<Shared> {
        self.running.shared()
    }

    pub fn path(&self) -> PathBuf {
        match &self.directory {
            Directory::Own(directory) => directory.path().to_owned(),
            Directory::Given(path) => path.clone(),
        }
    }

    /// Stops it as a user would, and keeps its directory.
    pub async fn stop(self) -> TempDir {
        self.stop.cancel();
        soon("the end", self.running.wait()).await.expect("a clean stop");
        match self.directory {
            Directory::Own(directory) => directory,
            Directory::Given(path) => panic!("{} is not this test's", path.display()),
        }
    }

    /// Waits until it stops by itself.
    pub async fn ends(self) -> ServeError {
        soon("the end", self.running.wait()).await.expect_err("an unclean stop")
    }

    pub fn request(&self, command: Command) -> Request {
        let actor = Actor::User { id: self.admin, name: "admin".to_owned(), role: Role::Admin };
        Request { actor, command, idempotency: None, remote: None }
    }

    pub fn keyed(&self, command: Command, key: &str, fingerprint: u8) -> Request {
        let idempotency = Some(IdempotencyKey { key: key.to_owned(), fingerprint: [fingerprint; 32] });
        Request { idempotency, ..self.request(command) }
    }

    pub async fn submit(&self, command: Command) -> Result<Committed, WriteError> {
        soon("an answer", self.shared().writer.submit(self.request(command))).await
    }

    pub async fn deploy(&self, name: &str, replicas: u32) -> DeploymentId {
        let committed = self.submit(deploy(name, replicas)).await.expect("deployed");
        let Outcome::Deployed { deployment_id, .. } = committed.outcome else { panic!("{committed:?}") };
        deployment_id
    }

    /// Adds nodes without an agent.
    pub async fn nodes(&self, count: usize) {
        let nodes = (0..count).map(|i| node(&format!("bare-{i}"))).collect();
        let request = Request::agent(Command::DeclareNodes { nodes });
        soon("an answer", self.shared().writer.submit(request)).await.expect("declared");
    }

    pub async fn status(&self, id: DeploymentId) -> DeploymentStatus {
        let record = self.shared().store.deployment(id).await.expect("a read").expect("the deployment");
        record.status
    }

    /// Keeps the writer from starting a batch until the answer is dropped, so that a test can fill the next one.
    pub async fn hold_writer(&self) -> std::sync::mpsc::Sender<()> {
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let (entered, enter) = tokio::sync::oneshot::channel();
        let writer = self.shared().writer.clone();
        tokio::spawn(async move {
            let held = writer.view(move |_, _| {
                // A test that has failed does not listen any more.
                let _ = entered.send(());
                let _ = wait.recv();
            });
            held.await
        });
        soon("the writer", enter).await.expect("it is held");
        go_on
    }

    pub async fn attach(&self, greeting: Greeting) -> Result<(Agent, Reception), Status> {
        let token = std::fs::read_to_string(self.path().join("agent.token")).expect("the token");
        let mut agent = Agent::connect(self.running.agent_addr, token.trim()).await?;
        agent.say(FromAgent::Hello(greeting)).await;
        match agent.hear().await? {
            FromServer::Welcome(reception) => Ok((agent, reception)),
            other => panic!("no welcome but {other:?}"),
        }
    }

    /// An agent with one node of this name, and its first list.
    pub async fn agent(&self, name: &str) -> (Agent, NodeId, NodeAssignment) {
        let (mut agent, reception) = self.attach(greeting(&[name])).await.expect("welcome");
        let list = agent.list().await;
        let node = reception.node_ids[name];
        assert_eq!(list.node_id, node);
        (agent, node, list)
    }
}

pub fn node(name: &str) -> NodeDeclaration {
    NodeDeclaration {
        name: name.to_owned(),
        region: "north".to_owned(),
        zone: "a".to_owned(),
        capacity: Resources { cpu_millis: CpuMillis(64_000), memory_mb: 131_072, gpu_units: 0, storage_gb: 4_000 },
        runtimes: Runtimes::of(&[Runtime::Process]),
        labels: Default::default(),
    }
}

pub fn greeting(names: &[&str]) -> Greeting {
    let nodes = names.iter().map(|name| node(name)).collect();
    Greeting { version: "0.1.0".to_owned(), cluster_id: None, obeyed: None, nodes }
}

/// The greeting of an agent that has obeyed somebody.
pub fn returning(names: &[&str], obeyed: &Authority) -> Greeting {
    Greeting { cluster_id: Some(obeyed.cluster_id.clone()), obeyed: Some(obeyed.clone()), ..greeting(names) }
}

pub fn spec(name: &str, replicas: u32) -> DeploymentSpec {
    serde_json::from_value(serde_json::json!({
        "name": name,
        "runtime": "process",
        "command": ["serve"],
        "replicas": replicas,
        "resources": { "cpu": 0.5, "memory": 512, "storage": 1 },
    }))
    .expect("a spec")
}

pub fn deploy(name: &str, replicas: u32) -> Command {
    Command::Deploy { spec: Arc::new(spec(name, replicas)) }
}

pub fn report(replica_id: ReplicaId, seq: u64, state: ReportedState) -> ReplicaReport {
    ReplicaReport {
        replica_id,
        seq,
        state,
        ready: state == ReportedState::Running,
        restarts: 0,
        endpoint: Some("127.0.0.1:20001".to_owned()),
        container_id: Some("4711".to_owned()),
        image_digest: None,
        exit_code: None,
        message: None,
    }
}

/// An agent whose part the test plays.
pub struct Agent {
    outgoing: mpsc::Sender<AgentMessage>,
    incoming: Streaming<ServerMessage>,
    number: u64,
}

impl Agent {
    pub async fn connect(address: std::net::SocketAddr, token: &str) -> Result<Self, Status> {
        let mut client = AgentServiceClient::connect(format!("http://{address}")).await.expect("a connection");
        let (outgoing, messages) = mpsc::channel(16);
        let mut request = tonic::Request::new(ReceiverStream::new(messages));
        let bearer = format!("Bearer {token}").parse().expect("a header");
        request.metadata_mut().insert("authorization", bearer);
        let incoming = soon("the stream", client.attach(request)).await?.into_inner();
        Ok(Self { outgoing, incoming, number: 0 })
    }

    pub async fn say(&self, message: FromAgent) {
        self.outgoing.send((&message).into()).await.expect("the stream takes it");
    }

    /// What no honest agent would say.
    pub async fn say_raw(&self, message: AgentMessage) {
        self.outgoing.send(message).await.expect("the stream takes it");
    }

    pub async fn hear(&mut self) -> Result<FromServer, Status> {
        let message = soon("a message", self.incoming.message()).await?;
        Ok(FromServer::try_from(message.expect("the stream goes on")).expect("a message that can be read"))
    }

    /// How the session ends, whatever is said before.
    pub async fn end(mut self) -> Status {
        loop {
            if let Err(status) = self.hear().await {
                return status;
            }
        }
    }

    /// The next list, whatever is said before.
    pub async fn list(&mut self) -> NodeAssignment {
        loop {
            if let FromServer::Assignment(list) = self.hear().await.expect("the session goes on") {
                return list;
            }
        }
    }

    /// The first list that is as wanted.
    pub async fn list_where(&mut self, mut wanted: impl FnMut(&NodeAssignment) -> bool) -> NodeAssignment {
        loop {
            let list = self.list().await;
            if wanted(&list) {
                return list;
            }
        }
    }

    pub async fn observe(&mut self, node_id: NodeId, reports: Vec<ReplicaReport>) -> u64 {
        self.number += 1;
        let number = self.number;
        self.say(FromAgent::Observation(NodeObservation { node_id, number, reports })).await;
        number
    }

    /// Waits until an observation is durable.
    pub async fn acknowledged(&mut self, number: u64) {
        while self.hear().await.expect("the session goes on") != (FromServer::Acknowledge { number }) {}
    }
}
