//! The servers that an administrator has set up.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use fogline_core::scaling::policy::SourceKind;

use crate::credentials::Credentials;

/// All settings of sources.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SourcesConfig {
    /// By the name that policies use.
    pub connections: BTreeMap<String, Connection>,
    /// The Prometheus server that is asked when a policy names none; without credentials.
    pub prometheus_url: Option<String>,
    /// Whether URLs in policies may lead to this machine and private networks. Never to the metadata service of a cloud.
    pub allow_private: bool,
}

/// A server, with how to log in.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// What it is.
    pub kind: SourceKind,
    /// Where it is; no user and no password in it. `http(s)://`, `postgres://HOST/DATABASE` or `redis(s)://HOST/NUMBER`.
    pub url: String,
    /// How to log in.
    pub credentials: Credentials,
    /// Who must have signed its certificate, in PEM, in place of the authorities that the machine knows.
    pub ca_file: Option<PathBuf>,
    /// SQL by the name that policies ask for it by; PostgreSQL only.
    pub queries: BTreeMap<String, String>,
    /// Whether policies may bring SQL of their own, so that whoever may write one may read what the login may read;
    /// PostgreSQL only.
    pub allow_sql: bool,
}

impl Connection {
    /// A server that asks for nothing.
    #[must_use]
    pub fn new(kind: SourceKind, url: impl Into<String>) -> Self {
        Self {
            kind,
            url: url.into(),
            credentials: Credentials::None,
            ca_file: None,
            queries: BTreeMap::new(),
            allow_sql: false,
        }
    }
}

/// Without the path of its URL, where some write a key.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parsed = url::Url::parse(&self.url).ok();
        let place = parsed.as_ref().map(|url| format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default()));
        f.debug_struct("Connection")
            .field("kind", &self.kind)
            .field("url", &place.unwrap_or_else(|| "…".to_owned()))
            .field("credentials", &self.credentials)
            .field("ca_file", &self.ca_file)
            .field("queries", &self.queries.keys())
            .field("allow_sql", &self.allow_sql)
            .finish()
    }
}

/// Why a server cannot be used as it is set up. Never shows its URL.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct ConfigError {
    /// Which setting: `prometheus_url`, or `metric_connections.NAME`.
    pub setting: String,
    /// What is wrong, and what would be accepted.
    pub reason: String,
}
