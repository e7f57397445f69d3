//! A whole proxy on loopback: a server that tells it routes, replicas that write down what they are sent, and clients that
//! write whatever they like.

pub mod fake_server;
pub mod raw;
pub mod replica;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fogline_api::attach::Token;
use fogline_core::id::IdSource;
use fogline_core::spec::{RouteSpec, TrafficSpec};
use fogline_core::time::Timestamp;
use fogline_core::traffic::{Service, Upstream, UpstreamState};
use fogline_proxy::{ProxyConfig, Running};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use fake_server::{FakeServer, TOKEN};

/// Far more than anything here takes; only a test that is stuck sees it.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A proxy with its server.
pub struct Rig {
    pub server: FakeServer,
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub dir: TempDir,
    stop: CancellationToken,
    running: Option<Running>,
}

impl Rig {
    /// One that serves these.
    pub async fn serving(services: Vec<Service>) -> Self {
        Self::started(services, |_| {}).await
    }

    /// The same, with settings of the test's own.
    pub async fn started(services: Vec<Service>, change: impl FnOnce(&mut ProxyConfig)) -> Self {
        Self::start(FakeServer::start(1, None), services, change).await
    }

    /// One that serves what this server tells it.
    pub async fn started_by(server: FakeServer, services: Vec<Service>) -> Self {
        Self::start(server, services, |_| {}).await
    }

    async fn start(server: FakeServer, services: Vec<Service>, change: impl FnOnce(&mut ProxyConfig)) -> Self {
        server.serve(services.clone());
        let dir = tempfile::tempdir().expect("a directory");
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut rig =
            Self { server, http: anywhere, https: anywhere, dir, stop: CancellationToken::new(), running: None };
        rig.start_again(change).await;
        // What it tells of, it serves; of an empty table it can only be told that it has come.
        rig.server
            .wait("a report of all services", |seen| {
                seen.reports > 0 && services.iter().all(|service| seen.traffic.contains_key(&service.deployment_id))
            })
            .await;
        rig
    }

    /// Starts a proxy that was stopped, at ports of its own, in the same directory.
    pub async fn start_again(&mut self, change: impl FnOnce(&mut ProxyConfig)) {
        let mut config = config(&self.server, &self.dir);
        change(&mut config);
        self.stop = CancellationToken::new();
        let running = fogline_proxy::start(config, self.stop.clone()).await.expect("started");
        (self.http, self.https) = (running.http[0], running.https[0]);
        self.running = Some(running);
    }

    /// Ends the proxy and waits until it has.
    pub async fn stop(&mut self) {
        self.stop.cancel();
        let running = self.running.take().expect("it runs");
        tokio::time::timeout(DEADLINE, running.wait()).await.expect("ended in time");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A configuration for this server, on ports of its own.
pub fn config(server: &FakeServer, dir: &TempDir) -> ProxyConfig {
    let mut config = ProxyConfig::new(vec![server.address()], Token::new(TOKEN), dir.path().to_owned());
    config.http = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.https = config.http.clone();
    config.workers = 2;
    // Tests take ports that are free, wherever they are.
    config.tcp_ports = 1_024..=u16::MAX;
    config
}

/// A service for this host with these replicas, all ready.
pub fn service(seed: u64, host: &str, replicas: &[SocketAddr]) -> Service {
    let mut ids = IdSource::new(seed);
    Service {
        deployment_id: ids.next(Timestamp::EPOCH),
        name: host.into(),
        owner: ids.next(Timestamp::EPOCH),
        routes: [RouteSpec { host: Some(host.to_owned()), ..RouteSpec::default() }].into(),
        traffic: Arc::new(TrafficSpec { slow_start_s: 0, ..TrafficSpec::default() }),
        readiness: None,
        asleep: false,
        serving: true,
        trouble: None,
        upstreams: replicas
            .iter()
            .map(|address| Upstream {
                replica_id: ids.next(Timestamp::EPOCH),
                endpoint: address.to_string().into(),
                state: UpstreamState::Ready,
            })
            .collect(),
    }
}
