//! A front with workers, a service whose table the test changes, replicas that answer as the test likes, and clients.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fogline_api::protocol::proxy::RoutesUpdate;
use fogline_core::id::{IdSource, ReplicaId};
use fogline_core::spec::{RouteSpec, TrafficSpec};
use fogline_core::time::Timestamp;
use fogline_core::traffic::{Service, ServiceTraffic, Upstream, UpstreamState};
use fogline_proxy::{Clock, Door, Entrance, Event, Front, FrontLimits, Listener, Patience, Workers};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Far more than anything here takes.
pub const DEADLINE: Duration = Duration::from_secs(60);
pub const HOST: &str = "app.test";

pub type Answer = Response<BoxBody<Bytes, Infallible>>;

pub fn text(text: impl Into<Bytes>) -> Answer {
    Response::new(Full::new(text.into()).boxed())
}

/// Waits until `seen` gives something.
pub async fn until<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = seen() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// A replica. Dropping it closes its port and everything that is open.
pub struct Replica {
    pub id: ReplicaId,
    pub address: SocketAddr,
    pub requests: Arc<AtomicUsize>,
    pub connections: Arc<AtomicUsize>,
    pub _stop: DropGuard,
}

impl Replica {
    pub async fn start<F, A>(seed: u64, answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::on(listener, seed, answer)
    }

    pub fn on<F, A>(listener: tokio::net::TcpListener, seed: u64, answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let address = listener.local_addr().expect("bound");
        let (requests, connections) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let stopped = CancellationToken::new();
        let (counted, opened, stop) = (Arc::clone(&requests), Arc::clone(&connections), stopped.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = tokio::select! {
                    taken = listener.accept() => taken.expect("a client"),
                    () = stop.cancelled() => return,
                };
                opened.fetch_add(1, Ordering::SeqCst);
                let (answer, counted, stop) = (answer.clone(), Arc::clone(&counted), stop.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        counted.fetch_add(1, Ordering::SeqCst);
                        let answer = answer(request);
                        async move { Ok::<_, Infallible>(answer.await) }
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
                    tokio::select! {
                        _ = serving => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
        });
        let id = IdSource::new(seed).next(Timestamp::EPOCH);
        Self { id, address, requests, connections, _stop: stopped.drop_guard() }
    }

    /// One that answers with this text.
    pub async fn saying(seed: u64, word: &'static str) -> Self {
        Self::start(seed, move |_| async move { text(word) }).await
    }

    /// One that answers with this text, one request for each permit of the gate.
    pub async fn gated(seed: u64, word: &'static str) -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        let opened = Arc::clone(&gate);
        let replica = Self::start(seed, move |_| {
            let gate = Arc::clone(&opened);
            async move {
                gate.acquire().await.expect("it is not closed").forget();
                text(word)
            }
        });
        (replica.await, gate)
    }

    pub fn as_upstream(&self, state: UpstreamState) -> Upstream {
        Upstream { replica_id: self.id, endpoint: self.address.to_string().into(), state }
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// A proxy and its one service.
pub struct Stage {
    pub front: Arc<Front>,
    pub address: SocketAddr,
    pub service: Mutex<Service>,
    pub events: mpsc::UnboundedReceiver<Event>,
    pub shutdown: CancellationToken,
    pub workers: Option<Workers>,
    _tending: DropGuard,
}

impl Stage {
    pub fn new(traffic: TrafficSpec) -> Self {
        Self::with_limits(traffic, FrontLimits::default())
    }

    pub fn with_limits(traffic: TrafficSpec, limits: FrontLimits) -> Self {
        let (front, events) = Front::new(limits, Clock::system());
        let door = Door::new(Arc::clone(&front), Vec::new(), None, 1_000, Patience::default());
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("bound");
        let shutdown = CancellationToken::new();
        let listeners = [Listener { socket, entrance: Entrance::Plain }];
        let workers = Workers::start(2, &door, &listeners, &shutdown).expect("workers");
        let tending = CancellationToken::new();
        tokio::spawn(tending.clone().run_until_cancelled_owned(Arc::clone(&front).tend()));
        let mut ids = IdSource::new(1_000);
        let service = Service {
            deployment_id: ids.next(Timestamp::EPOCH),
            name: "app".into(),
            owner: ids.next(Timestamp::EPOCH),
            routes: [RouteSpec { host: Some(HOST.to_owned()), ..RouteSpec::default() }].into(),
            traffic: Arc::new(traffic),
            readiness: None,
            asleep: false,
            serving: true,
            trouble: None,
            upstreams: Vec::new(),
        };
        let service = Mutex::new(service);
        Self { front, address, service, events, shutdown, workers: Some(workers), _tending: tending.drop_guard() }
    }

    /// With these replicas, all ready.
    pub fn serving(traffic: TrafficSpec, replicas: &[&Replica]) -> Self {
        let stage = Self::new(traffic);
        stage.ready(replicas);
        stage
    }

    pub fn ready(&self, replicas: &[&Replica]) {
        self.change(|service| {
            service.asleep = false;
            service.upstreams = replicas.iter().map(|replica| replica.as_upstream(UpstreamState::Ready)).collect();
        });
    }

    /// Changes the table.
    pub fn change(&self, change: impl FnOnce(&mut Service)) {
        let mut service = self.service.lock().expect("no panic");
        change(&mut service);
        self.front.apply(RoutesUpdate { whole: true, services: vec![service.clone()], ..RoutesUpdate::default() });
    }

    pub fn traffic(&self) -> ServiceTraffic {
        self.front.report(true).services.into_iter().next().expect("one service")
    }

    /// Waits until so many requests wait.
    pub async fn held(&self, count: u32) {
        until("requests to be held", || (self.traffic().held == count).then_some(())).await;
    }

    /// A client's connection.
    pub async fn client(&self) -> Client {
        Client::of(self.address).await
    }

    /// One GET on a connection of its own.
    pub async fn get(&self, path: &str) -> Got {
        self.client().await.get(path).await
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> Got {
        self.client().await.send(request).await
    }

    /// One GET that is waited for later.
    pub async fn get_in_background(&self, path: impl Into<String>) -> JoinHandle<Got> {
        let (mut client, path) = (self.client().await, path.into());
        tokio::spawn(async move { client.get(&path).await })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// An answer, whole.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub body: String,
}

pub struct Client {
    pub sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
    pub driving: tokio::task::JoinHandle<()>,
}

impl Client {
    /// A connection to this proxy.
    pub async fn of(proxy: SocketAddr) -> Self {
        let stream = TcpStream::connect(proxy).await.expect("connected");
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
        let driving = tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        Self { sender, driving }
    }

    pub async fn get(&mut self, path: &str) -> Got {
        self.send(request("GET", path, "")).await
    }

    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Got {
        tokio::time::timeout(DEADLINE, async {
            self.sender.ready().await.expect("a connection");
            whole(self.sender.send_request(request).await.expect("an answer")).await
        })
        .await
        .expect("an answer")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

pub async fn whole(answer: Response<Incoming>) -> Got {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    Got { status: parts.status.as_u16(), headers: parts.headers, body }
}

pub fn request(method: &str, path: &str, body: &'static str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(path).header("host", HOST);
    request.body(Full::new(Bytes::from_static(body.as_bytes()))).expect("a request")
}
