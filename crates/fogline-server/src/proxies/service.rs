//! The door for proxies, behind the agents' token.

use std::sync::Arc;

use fogline_api::protocol::proxy::proxy_service_server::ProxyService;
use fogline_api::protocol::proxy::{ProxyMessage, ServerMessage};
use tonic::{Request, Response, Status, Streaming};

use super::session;
use crate::attach::{Sessions, Speech};
use crate::clock::Clock;
use crate::leadership::Leadership;

/// What sessions work with, whoever leads.
pub(crate) struct ProxiesConfig {
    pub(crate) clock: Clock,
    pub(crate) leadership: Leadership,
}

/// The proxies' service.
pub(crate) struct ProxiesDoor {
    config: Arc<ProxiesConfig>,
    sessions: Sessions,
}

impl ProxiesDoor {
    pub(crate) const fn new(config: Arc<ProxiesConfig>, sessions: Sessions) -> Self {
        Self { config, sessions }
    }
}

#[tonic::async_trait]
impl ProxyService for ProxiesDoor {
    type AttachStream = Speech<ServerMessage>;

    async fn attach(&self, request: Request<Streaming<ProxyMessage>>) -> Result<Response<Self::AttachStream>, Status> {
        let (config, incoming) = (Arc::clone(&self.config), request.into_inner());
        Ok(self.sessions.begin(|right, outgoing| session::run(config, right, incoming, outgoing)))
    }
}
