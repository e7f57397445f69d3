//! A proxy whose part the test plays, and deployments with a route.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fogline_api::protocol::proxy::proxy_service_client::ProxyServiceClient;
use fogline_api::protocol::proxy::{FromProxy, FromServer, Greeting, ProxyMessage, ServerMessage};
use fogline_core::Cluster;
use fogline_core::command::{Command, Decided, Outcome, Request};
use fogline_core::id::{DeploymentId, NodeId, ReplicaId};
use fogline_core::observation::{ReplicaReport, ReportedState};
use fogline_core::record::ScalingTarget;
use fogline_core::scaling::decision::Action;
use fogline_core::scaling::inputs::Inputs;
use fogline_core::scaling::state::{Memory, State};
use fogline_core::scaling::{Decision, PolicySpec, evaluate};
use fogline_core::spec::DeploymentSpec;
use fogline_core::time::Timestamp;
use fogline_core::traffic::{LATENCY_BOUNDS_MS, Service, ServiceTraffic, TrafficReport, UpstreamState};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::rig::{Agent, Rig, report, soon};
use crate::scaling::world::{merged, until};

/// A proxy.
pub struct Proxy {
    outgoing: mpsc::Sender<ProxyMessage>,
    incoming: Streaming<ServerMessage>,
    /// The routes as it was told of them.
    pub table: BTreeMap<DeploymentId, Service>,
    /// Tables that it was given as a whole.
    pub wholes: usize,
    /// Deployments that were not woken.
    pub refused: Vec<(DeploymentId, String, Duration)>,
}

pub fn hello(name: &str) -> Greeting {
    Greeting {
        version: "0.1.0".to_owned(),
        cluster_id: None,
        name: name.to_owned(),
        http: vec!["127.0.0.1:8080".to_owned()],
        https: Vec::new(),
    }
}

impl Proxy {
    /// Attached, with its first table.
    pub async fn attach(rig: &Rig, name: &str) -> Self {
        let mut proxy = Self::connect(rig, hello(name)).await.expect("welcome");
        proxy.until("the first table", |proxy| proxy.wholes > 0).await;
        proxy.report(&[]).await;
        proxy
    }

    pub async fn connect(rig: &Rig, greeting: Greeting) -> Result<Self, Status> {
        let token = std::fs::read_to_string(rig.path().join("agent.token")).expect("the token");
        let mut proxy = Self::call(rig, token.trim()).await?;
        proxy.say(FromProxy::Hello(greeting)).await;
        match proxy.hear().await? {
            FromServer::Welcome { .. } => Ok(proxy),
            other => panic!("no welcome but {other:?}"),
        }
    }

    pub async fn call(rig: &Rig, token: &str) -> Result<Self, Status> {
        let address = rig.running.agent_addr;
        let client = ProxyServiceClient::connect(format!("http://{address}")).await.expect("a connection");
        let mut client = client.max_encoding_message_size(usize::MAX);
        let (outgoing, messages) = mpsc::channel(16);
        let mut request = tonic::Request::new(ReceiverStream::new(messages));
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header"));
        let incoming = soon("the stream", client.attach(request)).await?.into_inner();
        Ok(Self { outgoing, incoming, table: BTreeMap::new(), wholes: 0, refused: Vec::new() })
    }

    pub async fn say(&self, message: FromProxy) {
        self.say_raw((&message).into()).await;
    }

    /// What no honest proxy would say.
    pub async fn say_raw(&self, message: ProxyMessage) {
        self.outgoing.send(message).await.expect("the stream takes it");
    }

    pub async fn hear(&mut self) -> Result<FromServer, Status> {
        let message = soon("a message", self.incoming.message()).await?;
        let message = FromServer::try_from(message.expect("the stream goes on")).expect("a message that can be read");
        match &message {
            FromServer::Routes(update) => {
                if update.whole {
                    self.table.clear();
                    self.wholes += 1;
                }
                self.table.extend(update.services.iter().map(|service| (service.deployment_id, service.clone())));
                self.table.retain(|id, _| !update.removed.contains(id));
            }
            FromServer::WakeRefused { deployment_id, reason, retry_after } => {
                self.refused.push((*deployment_id, reason.clone(), *retry_after));
            }
            FromServer::Welcome { .. } | FromServer::NotLeader { .. } => {}
        }
        Ok(message)
    }

    /// Hears until it is as wanted.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Self) -> bool) {
        let hearing = async {
            while !wanted(self) {
                self.hear().await.expect("the session goes on");
            }
        };
        soon(what, hearing).await;
    }

    /// How the session ends, whatever is said before.
    pub async fn end(mut self) -> Status {
        loop {
            if let Err(status) = self.hear().await {
                return status;
            }
        }
    }

    /// A report of these services, by one that lets go of nothing.
    pub async fn report(&self, services: &[ServiceTraffic]) {
        self.say(FromProxy::Report(TrafficReport { services: services.to_vec(), let_go: Vec::new() })).await;
    }

    /// A report of nothing new but that these replicas are let go of.
    pub async fn let_go(&self, replicas: &[ReplicaId]) {
        self.say(FromProxy::Report(TrafficReport { services: Vec::new(), let_go: replicas.to_vec() })).await;
    }

    /// Returns when everything that was said so far has been decided on: a refusal answers what is said last.
    pub async fn is_heard(&mut self) {
        let nobody: DeploymentId = "00000000-0000-7000-8000-000000000000".parse().expect("an id");
        let before = self.refused.len();
        self.say(FromProxy::Wake { deployment_id: nobody, held: 1 }).await;
        self.until("an answer", |proxy| proxy.refused.len() > before).await;
        self.refused.pop();
    }

    /// Its replicas in this state.
    pub fn upstreams(&self, id: DeploymentId, state: UpstreamState) -> Vec<ReplicaId> {
        let upstreams = self.table.get(&id).map(|service| &service.upstreams);
        let found = upstreams.into_iter().flatten().filter(|upstream| upstream.state == state);
        found.map(|upstream| upstream.replica_id).collect()
    }
}

/// Counters of requests that each took 5 to 10 ms.
pub fn traffic(id: DeploymentId, begun: u64, open: u32) -> ServiceTraffic {
    let ended = begun - u64::from(open);
    let mut latency = [0; LATENCY_BOUNDS_MS.len() + 1];
    latency[3] = ended;
    ServiceTraffic {
        deployment_id: id,
        begun,
        ended,
        failed: 0,
        refused: 0,
        open,
        held: 0,
        quiet: Duration::ZERO,
        latency,
        latency_sum: Duration::from_millis(8) * u32::try_from(ended).expect("few"),
        cold_starts: [0; LATENCY_BOUNDS_MS.len() + 1],
        cold_start_sum: Duration::ZERO,
        replicas: Vec::new(),
    }
}

/// A spec with a route of its own, and these fields beside it.
pub fn spec(name: &str, replicas: u32, fields: Value) -> Arc<DeploymentSpec> {
    let base = json!({
        "name": name, "runtime": "process", "command": ["serve"], "replicas": replicas, "port": 8000,
        "resources": {"cpu": 0.5, "memory": 512, "storage": 1},
        "routes": [{"host": format!("{name}.example.com")}],
    });
    Arc::new(serde_json::from_value(merged(base, fields)).expect("a spec"))
}

pub async fn deploy(rig: &Rig, name: &str, replicas: u32, fields: Value) -> DeploymentId {
    let committed = rig.submit(Command::Deploy { spec: spec(name, replicas, fields) }).await.expect("deployed");
    let Outcome::Deployed { deployment_id, .. } = committed.outcome else { panic!("{committed:?}") };
    deployment_id
}

/// Asks for so many.
pub async fn scale(rig: &Rig, id: DeploymentId, replicas: i64) {
    rig.submit(Command::ScaleDeployment { deployment_id: id, replicas }).await.expect("scaled");
}

/// Puts a deployment to sleep, as a policy would that sees no requests; the policy is gone then.
pub async fn sleep(rig: &Rig, id: DeploymentId) {
    let spec: PolicySpec = serde_json::from_value(json!({
        "name": format!("sleep-{id}"), "target_type": "deployment", "target_id": id, "scale_to_zero": true,
    }))
    .expect("a policy");
    let committed = rig.submit(Command::CreatePolicy { spec: Arc::new(spec) }).await.expect("created");
    let Outcome::PolicyCreated { policy_id, .. } = committed.outcome else { panic!("{committed:?}") };
    until("sleep", async || {
        let look = rig.shared().writer.view(move |cluster, now| to_zero(cluster, id, now));
        let decided = Command::Decide(Box::new(look.await.expect("a look")));
        // The engine may have written something of its own in between.
        rig.shared().writer.submit(Request::system(decided)).await.ok()
    })
    .await;
    rig.submit(Command::DeletePolicy { policy_id }).await.expect("deleted");
}

fn to_zero(cluster: &Cluster, id: DeploymentId, now: Timestamp) -> Decided {
    let target = ScalingTarget::Deployment(id);
    let view = cluster.scaling_target(&target).expect("a policy is on it");
    let proxy = cluster.proxy_signal(id, now);
    let (inputs, memory) = (Inputs { replicas: view.counts, proxy, ..Inputs::default() }, Memory::clone(&view.memory));
    let state = State::resumed(memory.clone(), view.counts.current, now);
    let (decision, _) = evaluate(&view.policies, &inputs, &state, now);
    let (action, reason) = (Action::ScaleDown, "scaled down to 0: nobody needs it".to_owned());
    let unless_woken_after = proxy.map(|signal| signal.sequence);
    Decided {
        target,
        based_on: view.version,
        decision: Decision { action, replicas: 0, reason, unless_woken_after, ..decision },
        memory: Some(memory.clone()),
        memory_without: Some(memory),
        keep: true,
    }
}

/// What an agent says of a replica, at the `seq`th time.
pub fn said(replica_id: ReplicaId, seq: u64, state: ReportedState, ready: bool) -> ReplicaReport {
    ReplicaReport { ready, ..report(replica_id, seq, state) }
}

/// An agent whose replicas of a deployment all run.
pub async fn running(id: DeploymentId, agent: &mut Agent, node: NodeId, count: usize) -> Vec<ReplicaId> {
    let list = agent.list_where(|list| list.assignment.replicas.len() == count).await;
    let of = list.assignment.replicas.iter().filter(|replica| replica.deployment_id == id);
    let replicas: Vec<ReplicaId> = of.map(|replica| replica.replica_id).collect();
    let reports = replicas.iter().map(|replica| said(*replica, 1, ReportedState::Running, true)).collect();
    let number = agent.observe(node, reports).await;
    agent.acknowledged(number).await;
    replicas
}
