//! Putting a server together, and taking it apart again in the right order.
//!
//! Up: listeners, database, keys, who leads (and where it is this server: lease, cluster, writer, administrator), agents,
//! HTTP. Down: HTTP finishes what is open, agents are told, the writer finishes what waits, the lease is given back, the
//! database closes. Must never decide anything of the cluster's. Tests: `tests/it`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use fogline_core::settings::Settings;
use fogline_source::{ConfigError, Sources};
use fogline_store::{BadUrl, OpenError, SampleStore, SamplesConfig, Store, StoreConfig, StoreError};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::agents::{AgentsConfig, Commands, Logs};
use crate::attach::Endpoint;
use crate::bootstrap::{self, SecretFileError};
use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::http;
use crate::http_listener::HttpListener;
use crate::leadership::{Campaign, Leadership, Standing, Witness, pin_keys};
use crate::proxies::ProxiesConfig;
use crate::scaling::ScalingStanding;
use crate::state::Shared;
use crate::telemetry::Telemetry;
use crate::writer::Writer;

/// How long agents get to hear that the server stops.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long proxies have to find a server that takes over: the longest pause, a call that is not answered, and a last one.
const PROXY_ARRIVAL: Duration = Duration::from_secs(20);

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
    /// The database's URL names none.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// A metric source of the settings cannot be used.
    #[error("cannot use a metric source of the settings: {0}")]
    Sources(#[from] ConfigError),
    /// The database opens and does not work.
    #[error("cannot use the database {database}: {source}")]
    Store {
        /// Which, without a password.
        database: String,
        /// Why not.
        source: StoreError,
    },
    /// The servers of a cluster must have the same keys.
    #[error(
        "the database belongs to servers with other keys. Copy these two files from the data directory of a server that \
         uses it, and start again: keys/jwt.key to {}, agent.token to {}",
        .jwt_key.display(), .agent_token.display()
    )]
    OtherKeys {
        /// Where this server has its key for access tokens.
        jwt_key: PathBuf,
        /// Where it has the agents' token.
        agent_token: PathBuf,
    },
    /// Other servers, or agents, would not know where to call.
    #[error(
        "this server listens on {address} for {whom}, which is no address to be called at: say with {setting} where the \
         others reach it, such as 10.0.0.1:{}", .address.port()
    )]
    Unreachable {
        /// Where it listens.
        address: SocketAddr,
        /// Who would come there.
        whom: &'static str,
        /// What is missing.
        setting: &'static str,
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
    let place = config.store()?;
    let shared_database = matches!(place, StoreConfig::Postgres(_));
    let addresses = (
        advertised(config.advertise.as_ref(), http_addr, "people", "advertise", shared_database)?,
        advertised(config.agent_advertise.as_ref(), agent_addr, "agents", "agent_advertise", shared_database)?,
    );
    let failed = |source| ServeError::Store { database: name_of(&place), source };
    let store = Store::open(&place).await?;
    let migrated = store.migrate().await.map_err(failed)?;
    if migrated > 0 {
        tracing::info!("Brought the database up to date: {migrated} migrations");
    }
    let agent_token = bootstrap::read_or_make(&config.agent_token_path())?;
    let jwt_key = bootstrap::read_or_make(&config.jwt_key_path())?;
    // With SQLite the keys lie beside the database, and may be replaced.
    if shared_database && !pin_keys(&store, &jwt_key, &agent_token).await.map_err(failed)? {
        let (jwt_key, agent_token) = (config.jwt_key_path(), config.agent_token_path());
        return Err(ServeError::OtherKeys { jwt_key, agent_token });
    }

    let sources = Sources::new(&config.sources)?;
    let samples = SampleStore::open(&SamplesConfig::beside(&place)).await?;
    let proxy_arrival = if shared_database { PROXY_ARRIVAL } else { config.settings.proxy_arrival };
    let (clock, telemetry, leadership) = (Clock::system(), Telemetry::new(), Leadership::new());
    let standing = Standing {
        store: store.clone(),
        clock: clock.clone(),
        telemetry: telemetry.clone(),
        leadership: leadership.clone(),
        witness: Arc::new(Witness::default()),
        settings: Settings { proxy_arrival, ..config.settings.clone() },
        writer_queue: config.writer_queue,
        admin_password: config.admin_password.clone(),
        scaling: ScalingStanding {
            sources: sources.clone(),
            prometheus: config.sources.prometheus_url.is_some(),
            samples: samples.clone(),
            interval: config.evaluation_interval,
        },
    };
    let witness = Arc::clone(&standing.witness);
    let (campaign, generated_password) =
        Campaign::open(Arc::new(standing), config.lease, addresses.clone(), shared_database).await?;

    let heartbeat_interval = config.heartbeat_interval;
    let shared = Arc::new(Shared {
        config,
        writer: Writer::new(leadership.clone()),
        store: store.clone(),
        clock: clock.clone(),
        logs: Logs::new(leadership.clone()),
        commands: Commands::new(leadership.clone()),
        telemetry: telemetry.clone(),
        jwt_key: SecretBox::new(bootstrap::bytes_of(jwt_key.expose_secret()).into_boxed_slice()),
        leadership: leadership.clone(),
        witness,
        sources,
        advertised: addresses.0,
    });
    let agents = AgentsConfig {
        store: store.clone(),
        clock: clock.clone(),
        telemetry: telemetry.clone(),
        leadership: leadership.clone(),
        heartbeat_interval,
        open_sessions: AtomicUsize::new(0),
    };
    let proxies = ProxiesConfig { clock, leadership: leadership.clone() };
    let stop_campaign = CancellationToken::new();
    let parts = Parts {
        grace: shared.config.shutdown_grace,
        stop_http: CancellationToken::new(),
        stop_agents: CancellationToken::new(),
        leading: AbortOnDropHandle::new(tokio::spawn(campaign.run(stop_campaign.clone()))),
        stop_campaign,
        store,
        samples,
        chores: vec![AbortOnDropHandle::new(tokio::spawn(async move { telemetry.upkeep().await }))],
    };
    let router = http::router(Arc::clone(&shared));
    let http = HttpListener::of_this_process().serve(http_listener, router, parts.stop_http.clone());
    let agents =
        Endpoint::new(leadership, agents, proxies, &agent_token).serve(agent_listener, parts.stop_agents.clone());
    let supervisor = tokio::spawn(parts.supervise(http, agents, shutdown));
    tracing::info!("Listening on http://{http_addr} for people and on {agent_addr} for agents");
    Ok(Running { http_addr, agent_addr, generated_password, shared, supervisor })
}

/// Which database, for people.
fn name_of(place: &StoreConfig) -> String {
    match place {
        StoreConfig::Sqlite { file } => file.display().to_string(),
        StoreConfig::Postgres(postgres) => format!("{postgres:?}"),
    }
}

/// The address that others are told.
fn advertised(
    said: Option<&String>,
    address: SocketAddr,
    whom: &'static str,
    setting: &'static str,
    needed: bool,
) -> Result<String, ServeError> {
    match said {
        Some(said) => Ok(said.clone()),
        None if needed && address.ip().is_unspecified() => Err(ServeError::Unreachable { address, whom, setting }),
        None => Ok(address.to_string()),
    }
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

/// What has to be ended, and in which order.
struct Parts {
    grace: Duration,
    stop_http: CancellationToken,
    stop_agents: CancellationToken,
    stop_campaign: CancellationToken,
    leading: AbortOnDropHandle<Result<(), ServeError>>,
    store: Store,
    samples: SampleStore,
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
            ended = &mut self.leading => led(ended),
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
        self.stop_campaign.cancel();
        // A task that has ended was awaited above.
        let leading = if self.leading.is_finished() { Ok(()) } else { led(self.leading.await) };
        self.samples.close().await;
        self.store.close().await;
        tracing::info!("Stopped");
        result.and(leading)
    }
}

fn led(ended: Result<Result<(), ServeError>, tokio::task::JoinError>) -> Result<(), ServeError> {
    ended.unwrap_or_else(|failure| Err(ServeError::Writer(format!("the campaign panicked: {failure}"))))
}
