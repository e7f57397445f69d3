//! What is around the proxy: a server that is a lock around the real cluster, an agent that does at once what it is told,
//! and between them and the proxy streams that are late but keep the order.
//!
//! Must never be kinder than the real ones: a replica is cut off in the moment in which the cluster lets it be stopped.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fogline_api::protocol::proxy::RoutesUpdate;
use fogline_core::assignment::Want;
use fogline_core::cluster::{Changes, Cluster, Durable};
use fogline_core::command::{Actor, Command, Decided, Outcome, Rejection, Request};
use fogline_core::id::{DeploymentId, IdSource, NodeId, ReplicaId, UserId};
use fogline_core::observation::{NodeDeclaration, ReplicaReport, ReportedState};
use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::record::{PasswordHash, Role, Runtimes, ScalingTarget, Tier};
use fogline_core::scaling::inputs::ProxySignal;
use fogline_core::scaling::{Inputs, State, evaluate};
use fogline_core::settings::Settings;
use fogline_core::spec::Runtime;
use fogline_core::time::Timestamp;
use fogline_core::traffic::{Service, ServiceTraffic, TrafficReport};
use fogline_proxy::{Clock, Door, Entrance, Event, Front, FrontLimits, Listener, Patience, Workers};
use fogline_sim::Rng;
use serde_json::json;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::front::stage::{Replica, text, until};

const LOADED: Timestamp = Timestamp::from_micros(1_764_064_800_000_000);
/// When the first request may come: a new leader has found its proxies by then.
const OPEN_AFTER: Duration = Duration::from_secs(10);
const PROXY: &str = "proxy";

/// Some time or none: a turn of others, or some steps of a timer.
pub async fn dawdle(rng: &mut Rng, most_ms: u64) {
    match rng.between(0, most_ms + 2) {
        0 => {}
        1 => {
            for _ in 0..rng.between(1, 20) {
                tokio::task::yield_now().await;
            }
        }
        ms => tokio::time::sleep(Duration::from_millis(ms - 1)).await,
    }
}

pub struct Site {
    pub address: SocketAddr,
    front: Arc<Front>,
    cluster: Mutex<Cluster>,
    admin: UserId,
    node: NodeId,
    to_proxy: mpsc::UnboundedSender<Service>,
    to_agent: Notify,
    reports: AtomicU64,
    received: Arc<AtomicUsize>,
    /// What the proxy's table has named.
    known: Arc<Mutex<BTreeSet<DeploymentId>>>,
    _over: DropGuard,
}

impl Site {
    pub async fn open(rng: &mut Rng) -> Arc<Self> {
        let settings =
            Settings { wakes_per_minute: u32::MAX, node_timeout: Duration::from_secs(3_600), ..Settings::default() };
        let mut cluster = Cluster::load(Durable::default(), settings, IdSource::new(rng.bits()), LOADED)
            .expect("nothing contradicts");
        let (admin, node) = furnish(&mut cluster);
        let (front, events) = Front::new(FrontLimits::default(), Clock::system());
        let door = Door::new(Arc::clone(&front), Vec::new(), None, 1_000, Patience::default());
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("bound");
        let over = CancellationToken::new();
        let listeners = [Listener { socket, entrance: Entrance::Plain }];
        let _workers = Workers::start(2, &door, &listeners, &over).expect("threads");
        tokio::spawn(Arc::clone(&front).tend());
        let (to_proxy, table) = mpsc::unbounded_channel();
        let site = Arc::new(Self {
            address,
            front,
            cluster: Mutex::new(cluster),
            admin,
            node,
            to_proxy,
            to_agent: Notify::new(),
            reports: AtomicU64::new(0),
            received: Arc::default(),
            known: Arc::default(),
            _over: over.drop_guard(),
        });
        let (said, heard) = mpsc::unbounded_channel();
        let front = Arc::clone(&site.front);
        tokio::spawn(tell_proxy(Arc::clone(&front), Arc::clone(&site.known), table, Rng::new(rng.bits())));
        tokio::spawn(speak(front, events, said, Rng::new(rng.bits())));
        tokio::spawn(Arc::clone(&site).listen(heard, Rng::new(rng.bits())));
        tokio::spawn(Agent { running: HashMap::new(), rng: Rng::new(rng.bits()) }.run(Arc::clone(&site)));
        site.submit(&Request::agent(Command::AttachProxy { proxy: PROXY.to_owned() })).expect("it may");
        site
    }

    /// A deployment that may sleep, and wakes with so many replicas.
    pub fn deploy(&self, name: &str, replicas: usize) -> DeploymentId {
        let actor = Actor::User { id: self.admin, name: "admin".to_owned(), role: Role::Admin };
        let ask = |command| {
            let request = Request { actor: actor.clone(), command, idempotency: None, remote: None };
            self.submit(&request).expect("it fits")
        };
        let spec = json!({
            "name": name, "command": ["service"], "port": 8080, "replicas": replicas,
            "resources": {"cpu": 0.5, "memory": 512}, "routes": [{"host": format!("{name}.test")}],
        });
        let spec = Arc::new(serde_json::from_value(spec).expect("a spec"));
        let Outcome::Deployed { deployment_id, .. } = ask(Command::Deploy { spec }) else { panic!("deployed") };
        let policy = json!({
            "name": name, "target_type": "deployment", "target_id": name, "scale_to_zero": true,
            "min_replicas": replicas, "max_replicas": replicas, "idle": {"idle_period": "10s"},
            "cooldown_seconds": 0, "scale_down": {"stabilization": "0s"}, "max_terminations": 100,
        });
        ask(Command::CreatePolicy { spec: Arc::new(serde_json::from_value(policy).expect("a policy")) });
        deployment_id
    }

    /// One command as a batch of its own.
    pub fn submit(&self, request: &Request) -> Result<Outcome, Rejection> {
        let mut cluster = self.cluster.lock().expect("no panic");
        let (now, mut changes) = (self.now(), Changes::default());
        let outcome = cluster.apply(request, now, &mut changes);
        cluster.tick(now, &mut changes);
        assert!(cluster.settle(now, &mut changes, &mut || true), "there is time for all of it");
        cluster.committed(&changes);
        let mut touched: BTreeSet<DeploymentId> = changes.readiness.clone();
        touched.extend(changes.deployments.iter().map(|(id, _)| id));
        let rows = changes.replicas.iter().filter_map(|(_, edit)| edit.after.as_ref().or(edit.before.as_ref()));
        touched.extend(rows.map(|replica| replica.deployment_id));
        for service in touched.into_iter().filter_map(|id| cluster.service(id)) {
            // Nobody listens any more only at the end.
            let _ = self.to_proxy.send(service);
        }
        if !changes.replicas.is_empty() || !changes.released.is_empty() {
            self.to_agent.notify_one();
        }
        outcome
    }

    /// Waits until requests for it find a way, to a replica or to a place to wait.
    pub async fn until_known(&self, id: DeploymentId) {
        // Not by its reports: what is told here would not be told to the server.
        until("the table to name it", || self.known.lock().expect("no panic").contains(&id).then_some(())).await;
    }

    pub fn is_asleep(&self, id: DeploymentId) -> bool {
        let cluster = self.cluster.lock().expect("no panic");
        cluster.deployment(id).expect("deployed").record.target_replicas == 0
    }

    /// The decision to have it sleep, where no request is known of: whatever there was, it was an hour ago.
    pub fn found_idle(&self, id: DeploymentId) -> Option<Decided> {
        let cluster = self.cluster.lock().expect("no panic");
        let (now, target) = (self.now(), ScalingTarget::Deployment(id));
        let view = cluster.scaling_target(&target).expect("a policy is on it");
        let hour_ago = Timestamp::from_micros(now.as_micros() - 3_600_000_000);
        let proxy = cluster.proxy_signal(id, now).map(|signal| ProxySignal { quiet_since: hour_ago, ..signal });
        let inputs = Inputs { replicas: view.counts, proxy, ..Inputs::default() };
        let state = State::resumed((*view.memory).clone(), view.counts.current, now);
        let (decision, after) = evaluate(&view.policies, &inputs, &state, now);
        let (memory, memory_without) = (Some(after.memory), Some((*view.memory).clone()));
        let sleeps = view.counts.current > 0 && decision.replicas == 0;
        let based_on = view.version;
        sleeps.then_some(Decided { target, based_on, decision, memory, memory_without, keep: true })
    }

    /// Requests that replicas have done.
    pub fn received(&self) -> usize {
        self.received.load(Ordering::SeqCst)
    }

    fn now(&self) -> Timestamp {
        LOADED.plus(OPEN_AFTER + Duration::from_micros(self.front.clock().now_us()))
    }

    /// What the proxy says arrives, in order.
    async fn listen(self: Arc<Self>, mut heard: mpsc::UnboundedReceiver<Command>, mut rng: Rng) {
        while let Some(command) = heard.recv().await {
            dawdle(&mut rng, 1).await;
            let woken = if let Command::Wake { deployment_id, .. } = &command { Some(*deployment_id) } else { None };
            if let Err(rejection) = self.submit(&Request::agent(command)) {
                let id = woken.expect("nothing else that a proxy says is refused");
                self.front.wake_refused(id, &rejection.to_string(), Duration::ZERO);
            }
        }
    }

    fn report(&self, replica_id: ReplicaId, state: ReportedState, endpoint: Option<SocketAddr>) {
        let report = ReplicaReport {
            replica_id,
            seq: self.reports.fetch_add(1, Ordering::SeqCst) + 1,
            state,
            ready: state == ReportedState::Running,
            restarts: 0,
            endpoint: endpoint.map(|address| address.to_string()),
            container_id: None,
            image_digest: None,
            exit_code: None,
            message: None,
        };
        self.submit(&Request::agent(Command::Observe { node_id: self.node, reports: vec![report] })).expect("its node");
    }
}

/// The first user, and a node with room for everything.
fn furnish(cluster: &mut Cluster) -> (UserId, NodeId) {
    let mut changes = Changes::default();
    let user = Command::CreateUser {
        username: "admin".to_owned(),
        password_hash: PasswordHash::new(String::new()),
        role: Role::Admin,
        tier: Tier::Enterprise,
    };
    let created = cluster.apply(&Request::system(user), LOADED, &mut changes);
    let Ok(Outcome::UserCreated { user_id }) = created else { panic!("{created:?}") };
    let declaration = NodeDeclaration {
        name: "node".to_owned(),
        region: "region".to_owned(),
        zone: "zone".to_owned(),
        capacity: Resources {
            cpu_millis: CpuMillis::from_cores(500.0).expect("a number of cores"),
            memory_mb: 500_000,
            gpu_units: 0,
            storage_gb: 50_000,
        },
        runtimes: Runtimes::of(&[Runtime::Process]),
        labels: BTreeMap::new(),
    };
    let nodes = Command::DeclareNodes { nodes: vec![declaration] };
    cluster.apply(&Request::agent(nodes), LOADED, &mut changes).expect("a node can be declared");
    cluster.committed(&changes);
    let node = cluster.nodes().iter().next().expect("declared").1.id;
    (user_id, node)
}

/// Brings the table's changes, of each service only the latest that has come meanwhile.
async fn tell_proxy(
    front: Arc<Front>,
    known: Arc<Mutex<BTreeSet<DeploymentId>>>,
    mut table: mpsc::UnboundedReceiver<Service>,
    mut rng: Rng,
) {
    while let Some(first) = table.recv().await {
        dawdle(&mut rng, 2).await;
        let mut services = BTreeMap::from([(first.deployment_id, first)]);
        while let Ok(next) = table.try_recv() {
            services.insert(next.deployment_id, next);
        }
        let named: Vec<DeploymentId> = services.keys().copied().collect();
        let services = services.into_values().collect();
        front.apply(RoutesUpdate { whole: false, services, ..RoutesUpdate::default() });
        known.lock().expect("no panic").extend(named);
    }
}

/// What the proxy says: wake-ups, whom it has let go of, and now and then what else it saw.
async fn speak(
    front: Arc<Front>,
    mut events: mpsc::UnboundedReceiver<Event>,
    said: mpsc::UnboundedSender<Command>,
    mut rng: Rng,
) {
    let mut last = Vec::new();
    let mut report = || {
        let TrafficReport { services, let_go } = front.report(false);
        let is_news = !services.is_empty() || let_go != last;
        last.clone_from(&let_go);
        let signals = services.iter().map(ServiceTraffic::signal).collect();
        is_news.then(|| Command::NoteTraffic { proxy: PROXY.to_owned(), let_go, signals })
    };
    loop {
        let pause = Duration::from_millis(rng.between(1, 6));
        let command = tokio::select! {
            event = events.recv() => match event {
                Some(Event::Wake { deployment_id, held }) => Some(Command::Wake { deployment_id, held }),
                Some(Event::LetGo) => report(),
                None => return,
            },
            () = tokio::time::sleep(pause) => report(),
        };
        let Some(command) = command else { continue };
        // Nobody listens any more only at the end.
        let _ = said.send(command);
    }
}

/// Runs what the node is told to, and ends at once what it is told to end.
struct Agent {
    running: HashMap<ReplicaId, JoinHandle<Replica>>,
    rng: Rng,
}

impl Agent {
    async fn run(mut self, site: Arc<Site>) {
        loop {
            site.to_agent.notified().await;
            self.obey(&site);
        }
    }

    fn obey(&mut self, site: &Arc<Site>) {
        let assignment = site.cluster.lock().expect("no panic").assignment(site.node);
        for assigned in assignment.replicas {
            let id = assigned.replica_id;
            match assigned.want {
                Want::Run => {
                    let rng = &mut self.rng;
                    let start = || tokio::spawn(start(Arc::clone(site), id, Rng::new(rng.bits())));
                    self.running.entry(id).or_insert_with(start);
                }
                Want::Stop => {
                    // With its task goes what it started, and with that every connection.
                    if let Some(replica) = self.running.remove(&id) {
                        replica.abort();
                    }
                    site.report(id, ReportedState::Stopped, None);
                }
            }
        }
    }
}

/// A replica that listens a moment after it was started, and is said to be ready a moment after that.
async fn start(site: Arc<Site>, id: ReplicaId, mut rng: Rng) -> Replica {
    dawdle(&mut rng, 2).await;
    let (received, answers) = (Arc::clone(&site.received), Arc::new(Mutex::new(Rng::new(rng.bits()))));
    let replica = Replica::start(rng.bits(), move |_| {
        received.fetch_add(1, Ordering::SeqCst);
        let mut rng = Rng::new(answers.lock().expect("no panic").bits());
        async move {
            dawdle(&mut rng, 3).await;
            text("done")
        }
    })
    .await;
    site.report(id, ReportedState::Starting, Some(replica.address));
    dawdle(&mut rng, 4).await;
    site.report(id, ReportedState::Running, Some(replica.address));
    replica
}
