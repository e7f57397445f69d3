//! The door for agents, behind the token.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fogline_api::protocol::agent_service_server::AgentService;
use fogline_api::protocol::{AgentMessage, ServerMessage};
use fogline_store::Store;
use tonic::{Request, Response, Status, Streaming};

use super::session;
use crate::attach::{Sessions, Speech};
use crate::clock::Clock;
use crate::leadership::Leadership;
use crate::telemetry::Telemetry;

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

/// The agents' service.
pub(crate) struct AgentsDoor {
    config: Arc<AgentsConfig>,
    sessions: Sessions,
}

impl AgentsDoor {
    pub(crate) const fn new(config: Arc<AgentsConfig>, sessions: Sessions) -> Self {
        Self { config, sessions }
    }
}

#[tonic::async_trait]
impl AgentService for AgentsDoor {
    type AttachStream = Speech<ServerMessage>;

    async fn attach(&self, request: Request<Streaming<AgentMessage>>) -> Result<Response<Self::AttachStream>, Status> {
        let (config, incoming) = (Arc::clone(&self.config), request.into_inner());
        Ok(self.sessions.begin(|right, outgoing| session::run(config, right, incoming, outgoing)))
    }
}
