//! A fake of the server's side of the proxy protocol: it remembers what it hears, and says what the test wants. It runs on
//! a runtime of its own, so that stopping it is as sudden as a kill.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fogline_api::protocol::proxy::proxy_service_server::{ProxyService, ProxyServiceServer};
use fogline_api::protocol::proxy::{FromProxy, FromServer, Greeting, ProxyMessage, RoutesUpdate, ServerMessage};
use fogline_core::id::{DeploymentId, ReplicaId};
use fogline_core::traffic::{Service, ServiceTraffic};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::DEADLINE;

pub const TOKEN: &str = "the token";

/// What a fake server has heard.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub hellos: Vec<Greeting>,
    /// Calls without the token.
    pub refused: u32,
    pub reports: u64,
    /// The newest of each.
    pub traffic: BTreeMap<DeploymentId, ServiceTraffic>,
    /// Of the newest report.
    pub let_go: Vec<ReplicaId>,
    pub wakes: Vec<(DeploymentId, u32)>,
}

#[derive(Debug)]
struct Shared {
    welcome: FromServer,
    seen: watch::Sender<Seen>,
    /// Everything that is said after the welcome: all of it again to each that comes.
    said: watch::Sender<Vec<FromServer>>,
}

#[derive(Debug)]
pub struct FakeServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl FakeServer {
    /// On a free port, or on the one that another had before.
    pub fn start(epoch: u64, address: Option<SocketAddr>) -> Self {
        Self::answering(FromServer::Welcome { cluster_id: "cluster".to_owned(), epoch }, address)
    }

    /// One that answers each greeting with this.
    pub fn answering(welcome: FromServer, address: Option<SocketAddr>) -> Self {
        let address = address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let shared = Arc::new(Shared { welcome, seen: watch::Sender::default(), said: watch::Sender::default() });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = std::net::TcpListener::bind(address).expect("the port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("bound");
        let service = ProxyServiceServer::new(Fake(Arc::clone(&shared)));
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
        self.take_away()
    }

    /// The same, where it is still looked at.
    pub fn take_away(&mut self) -> SocketAddr {
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

    /// The whole table, from now on.
    pub fn serve(&self, services: Vec<Service>) {
        self.say(FromServer::Routes(RoutesUpdate { whole: true, services, ..RoutesUpdate::default() }));
    }

    pub fn say(&self, message: FromServer) {
        self.shared.said.send_modify(|said| said.push(message));
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn hear(&self, message: FromProxy) -> Option<FromServer> {
        let mut answer = None;
        self.seen.send_modify(|seen| match message {
            FromProxy::Hello(hello) => {
                seen.hellos.push(hello);
                answer = Some(self.welcome.clone());
            }
            FromProxy::Report(report) => {
                seen.reports += 1;
                seen.let_go = report.let_go;
                seen.traffic.extend(report.services.into_iter().map(|traffic| (traffic.deployment_id, traffic)));
            }
            FromProxy::Wake { deployment_id, held } => seen.wakes.push((deployment_id, held)),
        });
        answer
    }
}

struct Fake(Arc<Shared>);

#[tonic::async_trait]
impl ProxyService for Fake {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<ServerMessage, Status>> + Send>>;

    async fn attach(&self, request: Request<Streaming<ProxyMessage>>) -> Result<Response<Self::AttachStream>, Status> {
        let bearer = format!("Bearer {TOKEN}");
        if request.metadata().get("authorization").is_none_or(|shown| shown.as_bytes() != bearer.as_bytes()) {
            self.0.seen.send_modify(|seen| seen.refused += 1);
            return Err(Status::unauthenticated("not the token"));
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
                        let message = FromProxy::try_from(message).expect("a message that makes sense");
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
