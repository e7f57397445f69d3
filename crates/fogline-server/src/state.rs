//! What the HTTP handlers share. Made once, at the start; each field is a handle that is cheap to use from anywhere.

use fogline_store::Store;
use secrecy::SecretSlice;

use crate::agents::Logs;
use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::presence::Presence;
use crate::telemetry::Telemetry;
use crate::writer::Writer;

/// Everything that a request may need. Handlers take it as `State<Arc<Shared>>`.
pub struct Shared {
    /// What the server was told.
    pub config: ServerConfig,
    /// The only way to change the cluster.
    pub writer: Writer,
    /// Reads: lists, history, single rows.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// What was seen of nodes and replicas and is in no row.
    pub presence: Presence,
    /// Logs of replicas, relayed from their agents.
    pub logs: Logs,
    /// The server's own figures.
    pub telemetry: Telemetry,
    /// Signs and checks access tokens: 32 random bytes.
    pub jwt_key: SecretSlice<u8>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
