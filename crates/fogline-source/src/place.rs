//! The servers of the settings, ready to be asked, and how a question finds its own.
//!
//! Invariant: credentials are kept with the one server that they are for; a URL of a policy is called without any.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use fogline_core::scaling::policy::{MetricSpec, Server, SourceKind};
use reqwest::Method;
use url::Url;

use crate::config::{ConfigError, Connection, SourcesConfig};
use crate::credentials::{Credentials, Secret};
use crate::guard::{Guard, Reply, host_of};
use crate::http::{Ask, HttpServer};
use crate::postgresql::PostgresServer;
use crate::redis::RedisServer;
use crate::text::{STRANGER_CHARS, shown};
use crate::tls;

/// A server of the settings.
#[derive(Debug)]
enum Place {
    Http { kind: SourceKind, url: Url, server: HttpServer, credentials: Credentials },
    Postgres(Box<PostgresServer>),
    Redis(RedisServer),
}

/// All of them, and the way to plain URLs.
#[derive(Debug)]
pub(crate) struct Places {
    guard: Guard,
    connections: BTreeMap<String, Place>,
    default: Option<(Url, HttpServer)>,
    plain: HttpServer,
    none: Credentials,
}

/// An HTTP server that is about to be asked.
pub(crate) struct Call<'a> {
    server: &'a HttpServer,
    pub(crate) url: Url,
    credentials: &'a Credentials,
}

impl Places {
    pub(crate) fn new(config: &SourcesConfig, guard: Guard) -> Result<Self, ConfigError> {
        let trusted = guard.of_administrator();
        let mut connections = BTreeMap::new();
        for (name, connection) in &config.connections {
            let place = Place::new(connection, &trusted)
                .map_err(|reason| ConfigError { setting: format!("metric_connections.{name}"), reason })?;
            connections.insert(name.clone(), place);
        }
        let default = match &config.prometheus_url {
            Some(url) => {
                let url = trusted.check_url(url, &["http", "https"]).map_err(|reason| ConfigError {
                    setting: "prometheus_url".to_owned(),
                    reason: format!("{reason}; accepted: http://HOST:PORT or https://HOST:PORT"),
                })?;
                Some((url, HttpServer::new(trusted, None)))
            }
            None => None,
        };
        let plain = HttpServer::new(guard.clone(), None);
        Ok(Self { guard, connections, default, plain, none: Credentials::None })
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    pub(crate) fn has_default(&self) -> bool {
        self.default.is_some()
    }

    /// What the connection of this name is.
    pub(crate) fn kind_of(&self, name: &str) -> Option<SourceKind> {
        self.connections.get(name).map(|place| match place {
            Place::Http { kind, .. } => *kind,
            Place::Postgres(_) => SourceKind::Postgresql,
            Place::Redis(_) => SourceKind::Redis,
        })
    }

    /// Whom a question goes to, for people. Of a URL only the host: the rest may hold a key.
    pub(crate) fn name_of(&self, spec: &MetricSpec) -> String {
        match spec.server() {
            Server::Connection(name) => format!("connection {}", shown(name, STRANGER_CHARS)),
            Server::Url(url) => {
                let host = Url::parse(url).ok().and_then(|url| host_of(&url)).map(|host| host.to_string());
                host.unwrap_or_else(|| "url".to_owned())
            }
            Server::Default => "prometheus_url".to_owned(),
        }
    }

    pub(crate) fn http(&self, spec: &MetricSpec) -> Result<Call<'_>, String> {
        match spec.server() {
            Server::Connection(name) => match self.connections.get(name) {
                Some(Place::Http { url, server, credentials, .. }) => {
                    Ok(Call { server, url: url.clone(), credentials })
                }
                _ => Err("is no HTTP server of the settings".to_owned()),
            },
            Server::Url(url) => {
                let url = self.guard.check_url(url, &["http", "https"])?;
                Ok(Call { server: &self.plain, url, credentials: &self.none })
            }
            Server::Default => {
                let (url, server) = self.default.as_ref().ok_or("is not in the settings")?;
                Ok(Call { server, url: url.clone(), credentials: &self.none })
            }
        }
    }

    pub(crate) fn postgres(&self, spec: &MetricSpec) -> Result<&PostgresServer, String> {
        match spec.connection.as_ref().and_then(|name| self.connections.get(name)) {
            Some(Place::Postgres(server)) => Ok(server),
            _ => Err("is no PostgreSQL server of the settings".to_owned()),
        }
    }

    pub(crate) fn redis(&self, spec: &MetricSpec) -> Result<Cow<'_, RedisServer>, String> {
        match spec.server() {
            Server::Connection(name) => match self.connections.get(name) {
                Some(Place::Redis(server)) => Ok(Cow::Borrowed(server)),
                _ => Err("is no Redis server of the settings".to_owned()),
            },
            Server::Url(url) => RedisServer::new(url, &self.guard, Credentials::None, None).map(Cow::Owned),
            Server::Default => Err("is not in the settings".to_owned()),
        }
    }
}

impl Place {
    fn new(connection: &Connection, guard: &Guard) -> Result<Self, String> {
        let Connection { kind, url, credentials, ca_file, queries, allow_sql } = connection;
        credentials.read_now()?;
        if *kind != SourceKind::Postgresql && (*allow_sql || !queries.is_empty()) {
            return Err("queries and allow_sql are for the kind postgresql".to_owned());
        }
        match (kind, credentials) {
            (SourceKind::Postgresql | SourceKind::Redis, Credentials::Bearer { .. }) => {
                return Err("bearer_token_file is for HTTP; accepted: username and password_file".to_owned());
            }
            (SourceKind::Prometheus | SourceKind::HttpJson, Credentials::Password { username, password_file })
                if username.is_none() || password_file.is_none() =>
            {
                return Err("username and password_file come together".to_owned());
            }
            _ => {}
        }
        match kind {
            SourceKind::Prometheus | SourceKind::HttpJson => {
                let url = guard
                    .check_url(url, &["http", "https"])
                    .map_err(|reason| format!("the url {reason}; accepted: http:// or https:// and a host"))?;
                if ca_file.is_some() && url.scheme() != "https" {
                    return Err("ca_file needs a url with https://".to_owned());
                }
                let authorities = ca_file.as_deref().map(tls::for_http).transpose()?;
                let server = HttpServer::new(guard.clone(), authorities);
                Ok(Self::Http { kind: *kind, url, server, credentials: credentials.clone() })
            }
            SourceKind::Postgresql => PostgresServer::new(connection).map(Box::new).map(Self::Postgres),
            SourceKind::Redis => RedisServer::new(url, guard, credentials.clone(), ca_file.as_deref()).map(Self::Redis),
        }
    }
}

impl Call<'_> {
    /// Sends it with the credentials of its server, and takes them out of what is said of a failure. What is in an answer is
    /// passed through `read` first, which gives a reason too, and takes them out itself of what it shortens.
    pub(crate) async fn send<T>(
        &self,
        url: Url,
        body: Option<(&'static str, Vec<u8>)>,
        read: impl FnOnce(u16, Bytes, &Secret) -> Result<T, String>,
    ) -> Result<T, String> {
        let secret = self.credentials.read().await?;
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let ask = Ask { method, headers: &[], body, authorization: secret.authorization()? };
        let answer = self.server.send(url, ask).await.map_err(|failure| failure.reason);
        let answer = answer.and_then(|Reply { status, body }| read(status, body.into(), &secret));
        answer.map_err(|reason| secret.redact(&reason))
    }
}
