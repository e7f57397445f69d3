//! The HTTP client: every call of the API as a method, with its answer in the wire types of [`crate::http`].
//!
//! Decides nothing but when a call is sent again: only where that is safe (a read, or a call with an idempotency key)
//! and the server asked for it. Must never follow a redirect: a token is for the server it was given by. Tests: below
//! each file, and the end-to-end tests of the program.

mod auth;
mod deployments;
mod error;
mod events;
mod exec;
mod logs;
mod nodes;
mod routes;
mod scaling;
mod transport;
mod users;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use serde::de::DeserializeOwned;

pub use deployments::DeploymentQuery;
pub use error::ClientError;
pub use events::EventStream;
pub use logs::{LogQuery, LogStream};

use crate::http::Page;
use transport::Call;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take to answer a call. Streams have no such limit.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to one server, as one user. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<Arc<str>>,
    idempotency_key: Option<Arc<str>>,
}

impl Client {
    /// A client of the server at `server`, such as `http://127.0.0.1:8000`; without a scheme, `http://` is meant.
    ///
    /// # Errors
    /// When `server` is no such address.
    pub fn new(server: &str) -> Result<Self, ClientError> {
        let base = parse_server(server)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("fogline/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if base.scheme() == "http" {
            // Certificates are not needed then, and loading them takes time and fails on a machine that has none.
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|source| ClientError::Setup { source })?;
        Ok(Self { http, base, token: None, idempotency_key: None })
    }

    /// The same server, as the holder of this access token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The same, for one change that must not be made twice: the key goes along, and the call may be sent again.
    #[must_use]
    pub fn once(&self, idempotency_key: &str) -> Self {
        Self { idempotency_key: Some(idempotency_key.into()), ..self.clone() }
    }

    /// The server's address, without a slash at the end.
    #[must_use]
    pub fn server(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Whether passwords and tokens cross a network in the clear.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        self.base.scheme() == "http" && !is_loopback(&self.base)
    }

    /// Whether the server says that it is ready: its database is open and it leads.
    ///
    /// # Errors
    /// As every call; a server that is not ready is [`ClientError::Problem`] or [`ClientError::Unexpected`].
    pub async fn ready(&self) -> Result<(), ClientError> {
        self.get(&["readyz"]).nothing().await
    }

    /// Everything that a list has, page after page. Each page is asked for by a `call` of its own.
    async fn all<T: DeserializeOwned>(call: impl Fn() -> Call) -> Result<Vec<T>, ClientError> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page: Page<T> = call().query("cursor", cursor).answer().await?;
            all.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }
}

fn parse_server(server: &str) -> Result<Url, ClientError> {
    let text = server.trim();
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let refused = |reason: String| ClientError::Address { server: server.to_owned(), reason };
    let url = Url::parse(&with_scheme).map_err(|error| refused(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused(format!("the scheme {} is neither http nor https", url.scheme())));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(refused("it names no host".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("a user name or password does not belong into it".to_owned()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it has a query or a fragment".to_owned()));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_with_or_without_a_scheme() {
        for (server, url) in [
            ("127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("localhost:8000", "http://localhost:8000"),
            ("http://[::1]:8000/", "http://[::1]:8000"),
            ("https://fog.example.org", "https://fog.example.org"),
            ("https://example.org/fog/", "https://example.org/fog"),
        ] {
            assert_eq!(Client::new(server).expect("an address").server(), url);
        }
    }

    #[test]
    fn what_is_no_server_is_refused_with_the_reason() {
        for (server, part) in [
            ("", "empty host"),
            ("ftp://host", "neither http nor https"),
            ("http://user:secret@host", "does not belong"),
            ("http://host:99999", "invalid port"),
            ("http://host/?q", "query"),
        ] {
            let error = Client::new(server).expect_err("refused").to_string();
            assert!(error.contains(part), "{server}: {error}");
        }
    }

    #[test]
    fn only_this_machine_is_reached_without_a_proxy() {
        for (server, loopback) in [("http://localhost:1", true), ("http://[::1]:1", true), ("http://10.0.0.1:1", false)]
        {
            assert_eq!(is_loopback(&parse_server(server).expect("an address")), loopback, "{server}");
            assert_eq!(Client::new(server).expect("an address").is_exposed(), !loopback, "{server}");
        }
    }
}
