//! The door for agents: who may come in, and the endpoint itself.
//!
//! Invariant: nobody is heard who has not shown the agents' token, which is compared in constant time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fogline_api::protocol::AgentMessage;
use fogline_api::protocol::agent_service_server::{AgentService, AgentServiceServer};
use fogline_store::Store;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use super::session;
use super::speech::{Right, Speech};
use crate::clock::Clock;
use crate::leadership::Leadership;
use crate::telemetry::Telemetry;

/// How often a connection is asked whether its other end lives, and how long that may take. Together they stay below
/// the time-out after which a node counts as lost.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Largest message of an agent: a whole report of ten thousand replicas fits.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Messages that wait in the stream itself. Few: what waits longer waits in the mailbox, where newer lists replace older.
const STREAM_BUFFER: usize = 4;

/// What sessions work with, whoever leads.
pub(crate) struct AgentsConfig {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
    pub(crate) leadership: Leadership,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) open_sessions: AtomicUsize,
}

impl AgentsConfig {
    /// Counts a session that was let in, or that is over.
    pub(super) fn sessions(&self, change: isize) {
        let open = self.open_sessions.fetch_add(change.cast_unsigned(), Ordering::SeqCst).wrapping_add_signed(change);
        self.telemetry.agents_attached(open);
    }
}

/// The agents' endpoint.
pub(crate) struct Endpoint {
    config: Arc<AgentsConfig>,
    token_digest: [u8; 32],
    sessions: TaskTracker,
}

impl Endpoint {
    pub(crate) fn new(config: AgentsConfig, token: &SecretString) -> Self {
        let token_digest = Sha256::digest(token.expose_secret().as_bytes()).into();
        Self { config: Arc::new(config), token_digest, sessions: TaskTracker::new() }
    }

    /// Serves agents until `stop`; then tells each that the server stops.
    ///
    /// # Errors
    /// When the listener fails.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> Result<(), tonic::transport::Error> {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let (leadership, sessions) = (self.config.leadership.clone(), self.sessions.clone());
        let service = AgentServiceServer::new(self)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(usize::MAX);
        let ended = async move {
            stop.cancelled().await;
            if let Some(term) = leadership.term() {
                term.registry.end_all(&Status::unavailable("this server is stopping: attach again once it is back"));
            }
            sessions.close();
        };
        tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, ended)
            .await
    }

    fn knows(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
        // Digests, so that neither length nor content of the token can be felt out by time.
        let difference = shown.iter().zip(self.token_digest).fold(0, |bits, (a, b)| bits | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

#[tonic::async_trait]
impl AgentService for Endpoint {
    type AttachStream = Speech;

    async fn attach(&self, request: Request<Streaming<AgentMessage>>) -> Result<Response<Self::AttachStream>, Status> {
        let shown = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let token = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if !self.knows(token) {
            let remote = request.remote_addr().as_ref().map(SocketAddr::to_string);
            tracing::warn!(remote, "an agent was refused: it has not shown the agents' token");
            return Err(Status::unauthenticated(
                "the agent token is missing or wrong: give the agent the token file of this server (agent.token in its \
                 data directory)",
            ));
        }
        let (outgoing, stream) = mpsc::channel(STREAM_BUFFER);
        let right = Right::default();
        let speech = Speech::new(stream, Arc::clone(&right));
        self.sessions.spawn(session::run(Arc::clone(&self.config), right, request.into_inner(), outgoing));
        Ok(Response::new(speech))
    }
}
