//! What the HTTP handlers share. Made once, at the start; each field is a handle that is cheap to use from anywhere.

use std::sync::Arc;

use fogline_source::Sources;
use fogline_store::Store;
use secrecy::SecretSlice;

use crate::agents::{Commands, Logs};
use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::leadership::{Leadership, Witness};
use crate::presence::Presence;
use crate::scaling::Scaler;
use crate::telemetry::Telemetry;
use crate::writer::Writer;

/// Everything that a request may need. Handlers take it as `State<Arc<Shared>>`.
pub struct Shared {
    /// What the server was told.
    pub config: ServerConfig,
    /// The only way to change the cluster. Where this server does not lead, it says so.
    pub writer: Writer,
    /// Reads: lists, history, single rows.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Logs of replicas, relayed from their agents.
    pub logs: Logs,
    /// Commands in replicas, relayed to their agents.
    pub commands: Commands,
    /// The server's own figures.
    pub telemetry: Telemetry,
    /// Signs and checks access tokens: 32 random bytes.
    pub jwt_key: SecretSlice<u8>,
    /// Whether this server leads, and who else does.
    pub(crate) leadership: Leadership,
    /// Metric sources, for checking what policies say of them.
    pub(crate) sources: Sources,
    /// What this process has seen the database be at.
    pub(crate) witness: Arc<Witness>,
    /// Where other servers reach this one, as it says of itself.
    pub(crate) advertised: String,
}

impl Shared {
    /// What was seen of nodes and replicas and is in no row; nothing where this server does not lead.
    #[must_use]
    pub fn presence(&self) -> Presence {
        self.leadership.term().map(|term| term.presence.clone()).unwrap_or_default()
    }

    /// The scaling engine; nothing where this server does not lead.
    pub(crate) fn scaler(&self) -> Option<Arc<Scaler>> {
        self.leadership.term().map(|term| Arc::clone(&term.scaler))
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
