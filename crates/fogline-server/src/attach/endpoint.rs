//! The listener for agents and proxies, and when it ends.

use std::sync::Arc;
use std::time::Duration;

use fogline_api::protocol::agent_service_server::AgentServiceServer;
use fogline_api::protocol::proxy::proxy_service_server::ProxyServiceServer;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::{Response, Status};

use super::{Outgoing, Right, Speech, Token};
use crate::agents::{AgentsConfig, AgentsDoor};
use crate::leadership::Leadership;
use crate::proxies::{ProxiesConfig, ProxiesDoor};

/// How often a connection is asked whether its other end lives, and how long that may take. Together they stay below
/// the time-out after which a node counts as lost.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Largest message that is taken: a whole report of ten thousand replicas fits.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Messages that wait in the stream itself. Few: what waits longer waits in a mailbox, where newer words replace older.
const STREAM_BUFFER: usize = 4;

/// The endpoint.
pub(crate) struct Endpoint {
    leadership: Leadership,
    agents: Arc<AgentsConfig>,
    proxies: Arc<ProxiesConfig>,
    token: Token,
}

impl Endpoint {
    pub(crate) fn new(
        leadership: Leadership,
        agents: AgentsConfig,
        proxies: ProxiesConfig,
        token: &SecretString,
    ) -> Self {
        Self { leadership, agents: Arc::new(agents), proxies: Arc::new(proxies), token: Token::new(token) }
    }

    /// Serves both until `stop`; then tells each that the server stops.
    ///
    /// # Errors
    /// When the listener fails.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> Result<(), tonic::transport::Error> {
        let Self { leadership, agents, proxies, token } = self;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let sessions = Sessions::default();
        let agents = AgentServiceServer::new(AgentsDoor::new(agents, sessions.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(usize::MAX);
        let proxies = ProxyServiceServer::new(ProxiesDoor::new(proxies, sessions.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(usize::MAX);
        let ended = async move {
            stop.cancelled().await;
            if let Some(term) = leadership.term() {
                let end = Status::unavailable("this server is stopping: attach again once it is back");
                term.registry.end_all(&end);
                term.proxies.end_all(&end);
            }
            sessions.tasks.close();
        };
        tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .add_service(InterceptedService::new(agents, token.guarding("an agent")))
            .add_service(InterceptedService::new(proxies, token.guarding("a proxy")))
            .serve_with_incoming_shutdown(incoming, ended)
            .await
    }
}

/// The tasks of all sessions. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Sessions {
    tasks: TaskTracker,
}

impl Sessions {
    /// Begins one: a task of its own, which speaks through what is answered here.
    pub(crate) fn begin<M, Session>(&self, session: impl FnOnce(Right, Outgoing<M>) -> Session) -> Response<Speech<M>>
    where
        Session: Future<Output = ()> + Send + 'static,
    {
        let (outgoing, stream) = mpsc::channel(STREAM_BUFFER);
        let right = Right::default();
        let speech = Speech::new(stream, Arc::clone(&right));
        self.tasks.spawn(session(right, outgoing));
        Response::new(speech)
    }
}
