//! What a server is told at its start. Read once; nothing here changes while it runs.
//!
//! Where each value comes from (file, environment, flag) is the binary's business.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fogline_core::settings::Settings;
use fogline_source::SourcesConfig;
use fogline_store::{BadUrl, StoreConfig};
use secrecy::{ExposeSecret, SecretString};

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Holds the database, keys and tokens. Made when it is not there.
    pub data_dir: PathBuf,
    /// The database, as a URL, which may hold a password; SQLite in the data directory when nothing is said.
    pub database_url: Option<SecretString>,
    /// How long this server leads without a renewal, where several share the database. Renewed every third of it.
    pub lease: Duration,
    /// Where other servers reach this one's HTTP API, `host:port`; the address it listens on when nothing is said.
    pub advertise: Option<String>,
    /// Where agents reach this server, `host:port`; the address it listens on for them when nothing is said.
    pub agent_advertise: Option<String>,
    /// Where the HTTP API listens; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Where agents attach. Loopback only, until agents and servers speak mTLS.
    pub agent_listen: SocketAddr,
    /// Quotas, time-outs and back-offs of the deciding part.
    pub settings: Settings,
    /// Password of the first administrator; a generated one is returned once when nothing is said.
    pub admin_password: Option<SecretString>,
    /// How often each scaling target is evaluated.
    pub evaluation_interval: Duration,
    /// Servers that scaling policies may take metrics from, and where the URLs in policies may lead.
    pub sources: SourcesConfig,
    /// How often agents tell that they live. Three of them must fit into `settings.node_timeout`.
    pub heartbeat_interval: Duration,
    /// How long an access token is good for.
    pub access_token_ttl: Duration,
    /// How long a login lasts when its refresh token is not used.
    pub refresh_token_ttl: Duration,
    /// Largest body of a request, in bytes.
    pub max_body_bytes: usize,
    /// Requests that may wait for the writer before further ones are told to come back later.
    pub writer_queue: usize,
    /// How long open requests get to finish when the server stops.
    pub shutdown_grace: Duration,
}

impl ServerConfig {
    /// The defaults, on a data directory.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            database_url: None,
            lease: Duration::from_secs(6),
            advertise: None,
            agent_advertise: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            agent_listen: SocketAddr::from(([127, 0, 0, 1], 8001)),
            settings: Settings::default(),
            admin_password: None,
            evaluation_interval: Duration::from_secs(5),
            sources: SourcesConfig::default(),
            heartbeat_interval: Duration::from_secs(3),
            access_token_ttl: Duration::from_secs(15 * 60),
            refresh_token_ttl: Duration::from_secs(30 * 24 * 3_600),
            max_body_bytes: 1024 * 1024,
            writer_queue: 8_192,
            shutdown_grace: Duration::from_secs(10),
        }
    }

    /// Which database, and where.
    ///
    /// # Errors
    /// When the URL names none.
    pub fn store(&self) -> Result<StoreConfig, BadUrl> {
        match &self.database_url {
            Some(url) => StoreConfig::from_url(url.expose_secret()),
            None => Ok(StoreConfig::sqlite(self.database_path())),
        }
    }

    /// The file of the database, where no URL names another one.
    #[must_use]
    pub fn database_path(&self) -> PathBuf {
        self.data_dir.join("fogline.db")
    }

    /// The file of the key that signs access tokens.
    #[must_use]
    pub fn jwt_key_path(&self) -> PathBuf {
        self.data_dir.join("keys").join("jwt.key")
    }

    /// The file of the token that agents show.
    #[must_use]
    pub fn agent_token_path(&self) -> PathBuf {
        self.data_dir.join("agent.token")
    }
}
