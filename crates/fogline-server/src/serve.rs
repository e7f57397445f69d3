//! Putting a server together, and taking it apart again in the right order.
//!
//! Up: listeners, database, lease, cluster, writer, administrator, agents, HTTP. Down: HTTP finishes what is open, agents
//! are told, the writer finishes what waits, the database closes. Must never decide anything of the cluster's.
//! Tests: `tests/it`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use fogline_store::{OpenError, Store, StoreConfig, StoreError};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::agents::{AgentsConfig, Endpoint, Leadership, Logs, Registry};
use crate::auth::{hex, random_bytes};
use crate::bootstrap::{self, SecretFileError};
use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::http;
use crate::http_listener::HttpListener;
use crate::presence::Presence;
use crate::state::Shared;
use crate::telemetry::Telemetry;
use crate::writer::{Publisher, WriterTask, load};

/// How often what is kept only for a while is let go of.
const PRUNE_INTERVAL: Duration = Duration::from_secs(300);

/// How long agents get to hear that the server stops.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why a server does not start, or has stopped though nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Agents would be reachable from elsewhere, and what they say is not encrypted yet.
    #[error(
        "cannot listen for agents on {0}: until agents and servers speak mTLS, only a loopback address such as \
         127.0.0.1:8001 is accepted"
    )]
    AgentListenNotLoopback(SocketAddr),
    /// Heartbeats that are too rare for the time-out.
    #[error(
        "a heartbeat every {} ms does not fit a node time-out of {} ms: three must fit",
        .heartbeat.as_millis(), .timeout.as_millis()
    )]
    HeartbeatTooSlow {
        /// Time between two heartbeats.
        heartbeat: Duration,
        /// Silence after which a node counts as lost.
        timeout: Duration,
    },
    /// A port is taken, or an address is not this machine's.
    #[error("cannot listen on {address} for {whom}: {source}. Choose another address, or stop what listens there")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Who would come there.
        whom: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// The data directory or a secret in it.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// The database does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database opens and does not work.
    #[error("cannot use the database {}: {source}", .file.display())]
    Store {
        /// Which.
        file: PathBuf,
        /// Why not.
        source: StoreError,
    },
    /// There is nobody who could log in, and nobody can be made.
    #[error("cannot make the first administrator: {0}")]
    Administrator(String),
    /// Another server has taken over.
    #[error("{0}")]
    NotLeader(String),
    /// The writer cannot go on.
    #[error("the server has stopped: {0}")]
    Writer(String),
    /// A part that serves has failed.
    #[error("the server has stopped: {whom} cannot be served any more: {detail}")]
    Endpoint {
        /// Who.
        whom: &'static str,
        /// Why not.
        detail: String,
    },
}

impl From<crate::writer::Stopped> for ServeError {
    fn from(stopped: crate::writer::Stopped) -> Self {
        match stopped {
            crate::writer::Stopped::NotLeader => Self::NotLeader(stopped.to_string()),
            other => Self::Writer(other.to_string()),
        }
    }
}

/// A server that runs.
pub struct Running {
    /// Where the HTTP API listens.
    pub http_addr: SocketAddr,
    /// Where agents attach.
    pub agent_addr: SocketAddr,
    /// The first administrator's password, if one was made up just now. To be shown once: it is kept nowhere.
    pub generated_password: Option<SecretString>,
    shared: Arc<Shared>,
    supervisor: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    /// What the server's parts share.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Waits until the server has stopped.
    ///
    /// # Errors
    /// When it stopped though nobody asked it to.
    pub async fn wait(self) -> Result<(), ServeError> {
        drop(self.shared);
        self.supervisor.await.unwrap_or_else(|failure| Err(ServeError::Writer(format!("a part panicked: {failure}"))))
    }
}

/// Runs a server until `shutdown`. For a caller who needs neither its addresses nor a generated password.
///
/// # Errors
/// When it does not start, or stops though nobody asked it to.
pub async fn serve(config: ServerConfig, shutdown: CancellationToken) -> Result<(), ServeError> {
    start(config, shutdown).await?.wait().await
}

/// Starts a server, which runs until `shutdown`. When this returns, it serves.
///
/// # Errors
/// When it cannot start. Nothing is left running then.
pub async fn start(config: ServerConfig, shutdown: CancellationToken) -> Result<Running, ServeError> {
    check(&config)?;
    let http_listener = listen(config.listen, "people").await?;
    let agent_listener = listen(config.agent_listen, "agents").await?;
    let (http_addr, agent_addr) =
        (address_of(&http_listener, config.listen), address_of(&agent_listener, config.agent_listen));

    bootstrap::private_directory(&config.data_dir)?;
    let file = config.database_path();
    let failed = |source| ServeError::Store { file: file.clone(), source };
    let store = Store::open(&StoreConfig::sqlite(&file)).await?;
    let migrated = store.migrate().await.map_err(failed)?;
    if migrated > 0 {
        tracing::info!("Brought the database up to date: {migrated} migrations");
    }
    let agent_token = bootstrap::read_or_make(&config.agent_token_path())?;
    let jwt_key = bootstrap::read_or_make(&config.jwt_key_path())?;

    let lease = store.take_over(&hex(&random_bytes::<16>())).await.map_err(failed)?;
    tracing::info!(cluster = lease.cluster_id, epoch = lease.epoch, "Leading the cluster");
    let clock = Clock::system();
    let cluster = load(&store, &config.settings, &clock).await?;
    let (presence, telemetry, registry) = (Presence::default(), Telemetry::new(), Arc::new(Registry::default()));
    let leadership = Arc::new(Leadership::of(&lease));
    let publisher = Publisher::new(Arc::clone(&registry), presence.clone(), telemetry.clone(), Arc::clone(&leadership));
    let queue = config.writer_queue;
    let (writer, task) =
        WriterTask::new(store.clone(), lease, cluster, clock.clone(), queue, publisher, telemetry.clone());
    let stop_writer = CancellationToken::new();
    let mut writing = AbortOnDropHandle::new(tokio::spawn(task.run(stop_writer.clone())));

    let generated_password = match bootstrap::ensure_administrator(&writer, config.admin_password.as_ref()).await {
        Ok(generated) => generated,
        Err(error) => {
            stop_writer.cancel();
            // The writer's own end says more than that it refused.
            let ended = timeout(GOODBYE, &mut writing).await;
            if let Ok(Ok(Err(stopped))) = ended {
                return Err(stopped.into());
            }
            return Err(ServeError::Administrator(error.to_string()));
        }
    };

    let heartbeat_interval = config.heartbeat_interval;
    let shared = Arc::new(Shared {
        config,
        writer: writer.clone(),
        store: store.clone(),
        clock: clock.clone(),
        presence: presence.clone(),
        logs: Logs::new(Arc::clone(&registry)),
        telemetry: telemetry.clone(),
        jwt_key: SecretBox::new(bootstrap::bytes_of(jwt_key.expose_secret()).into_boxed_slice()),
    });
    let agents = AgentsConfig {
        store: shared.store.clone(),
        writer,
        presence,
        clock: clock.clone(),
        telemetry: telemetry.clone(),
        registry,
        leadership,
        heartbeat_interval,
        open_sessions: AtomicUsize::new(0),
    };
    let parts = Parts {
        grace: shared.config.shutdown_grace,
        stop_http: CancellationToken::new(),
        stop_agents: CancellationToken::new(),
        stop_writer,
        writing,
        store: store.clone(),
        chores: vec![
            AbortOnDropHandle::new(tokio::spawn(prune(store, clock))),
            AbortOnDropHandle::new(tokio::spawn(async move { telemetry.upkeep().await })),
        ],
    };
    let router = http::router(Arc::clone(&shared));
    let http = HttpListener::of_this_process().serve(http_listener, router, parts.stop_http.clone());
    let agents = Endpoint::new(agents, &agent_token).serve(agent_listener, parts.stop_agents.clone());
    let supervisor = tokio::spawn(parts.supervise(http, agents, shutdown));
    tracing::info!("Listening on http://{http_addr} for people and on {agent_addr} for agents");
    Ok(Running { http_addr, agent_addr, generated_password, shared, supervisor })
}

fn check(config: &ServerConfig) -> Result<(), ServeError> {
    if !config.agent_listen.ip().is_loopback() {
        return Err(ServeError::AgentListenNotLoopback(config.agent_listen));
    }
    let (heartbeat, timeout) = (config.heartbeat_interval, config.settings.node_timeout);
    if heartbeat.is_zero() || heartbeat * 3 > timeout {
        return Err(ServeError::HeartbeatTooSlow { heartbeat, timeout });
    }
    Ok(())
}

async fn listen(address: SocketAddr, whom: &'static str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, whom, source })
}

/// The port that was taken, where any would do.
fn address_of(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

async fn prune(store: Store, clock: Clock) {
    let mut due = interval(PRUNE_INTERVAL);
    loop {
        due.tick().await;
        match store.prune(clock.now()).await {
            Ok(pruned) => tracing::debug!(?pruned, "let go of what was kept for a while"),
            // Nothing is wrong with the cluster for that; the next time may do.
            Err(error) => tracing::warn!(%error, "cannot let go of what was kept for a while"),
        }
    }
}

/// What has to be ended, and in which order.
struct Parts {
    grace: Duration,
    stop_http: CancellationToken,
    stop_agents: CancellationToken,
    stop_writer: CancellationToken,
    writing: AbortOnDropHandle<Result<(), crate::writer::Stopped>>,
    store: Store,
    chores: Vec<AbortOnDropHandle<()>>,
}

impl Parts {
    async fn supervise(
        mut self,
        http: impl Future<Output = ()> + Send + 'static,
        agents: impl Future<Output = Result<(), tonic::transport::Error>> + Send + 'static,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let mut http = AbortOnDropHandle::new(tokio::spawn(http));
        let mut agents = AbortOnDropHandle::new(tokio::spawn(agents));
        let endpoint = |whom, detail: String| Err(ServeError::Endpoint { whom, detail });
        let result = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            ended = &mut self.writing => written(ended),
            ended = &mut http => endpoint("people", format!("{ended:?}")),
            ended = &mut agents => endpoint("agents", format!("{ended:?}")),
        };
        tracing::info!("Stopping");
        self.stop_http.cancel();
        // Nobody can be answered well any more when something has failed, so nobody is waited for.
        let grace = if result.is_ok() { self.grace } else { GOODBYE };
        if !http.is_finished() && timeout(grace, &mut http).await.is_err() {
            tracing::warn!("some requests were still open after {} s and were cut off", grace.as_secs());
        }
        self.stop_agents.cancel();
        if !agents.is_finished() && timeout(GOODBYE, &mut agents).await.is_err() {
            tracing::debug!("some agents did not hear that the server stops");
        }
        drop((http, agents));
        self.chores.clear();
        self.stop_writer.cancel();
        // A task that has ended was awaited above.
        let writing = if self.writing.is_finished() { Ok(()) } else { written(self.writing.await) };
        self.store.close().await;
        tracing::info!("Stopped");
        result.and(writing)
    }
}

fn written(ended: Result<Result<(), crate::writer::Stopped>, tokio::task::JoinError>) -> Result<(), ServeError> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(stopped)) => Err(stopped.into()),
        Err(failure) => Err(ServeError::Writer(format!("the writer panicked: {failure}"))),
    }
}
