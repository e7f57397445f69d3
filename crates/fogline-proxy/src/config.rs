//! What a proxy is told when it is started.
//!
//! Must never read the environment or files: the binary does, and fills these in. Tests: below.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use fogline_api::attach::{self, Token};

use crate::access_log::AccessLogTarget;
use crate::forward::Network;
use crate::limits::Patience;

/// What a proxy is told when it is started.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Names it to the servers: 1 to 100 letters, digits, `-`, `_` and `.`. Two of one name push each other out.
    pub name: String,
    /// Where it takes HTTP; port 0 stands for any.
    pub http: Vec<SocketAddr>,
    /// Where it takes HTTPS.
    pub https: Vec<SocketAddr>,
    /// A directory with pairs `NAME.crt` (or `NAME.pem`) and `NAME.key`. Without it there is only the certificate that the
    /// proxy makes itself.
    pub certificates: Option<PathBuf>,
    /// Servers to call, each `address:port`.
    pub servers: Vec<String>,
    /// Shown to the servers.
    pub token: Token,
    /// Where the proxy keeps its last table and its own certificate; one proxy a directory.
    pub data_dir: PathBuf,
    /// Threads that serve; 0 stands for one a core.
    pub workers: usize,
    /// Proxies in front of this one, whose word on where a client is counts.
    pub trusted_proxies: Vec<Network>,
    /// How long clients may take.
    pub patience: Patience,
    /// Where ended requests are told; nowhere when nothing is said.
    pub access_log: Option<AccessLogTarget>,
    /// Connections of clients that may be open, 1 to 1000000. More are closed at once until others end. Never more than a
    /// quarter of the files that the process may have open; from one address at most an eighth, or 64, unless it is trusted
    /// or this machine's own.
    pub max_connections: usize,
    /// The ports that a route may have opened here (`tcp_port`); all others stay closed, whatever the table says.
    pub tcp_ports: RangeInclusive<u16>,
    /// Of those, ports that something else on this machine needs, such as the agent's replicas.
    pub tcp_ports_taken: Vec<RangeInclusive<u16>>,
}

/// Connections that may be open when nothing is said.
const MAX_CONNECTIONS: usize = 10_000;
/// Ports for routes when nothing is said: below those that systems give to outgoing connections.
const TCP_PORTS: RangeInclusive<u16> = 10_000..=19_999;
/// More descriptors no machine has for one process.
const MOST_CONNECTIONS: usize = 1_000_000;
/// More threads are of no use.
const MOST_WORKERS: usize = 1_024;

impl ProxyConfig {
    /// With the defaults: it is called `proxy`, listens nowhere, and has one worker a core.
    #[must_use]
    pub fn new(servers: Vec<String>, token: Token, data_dir: PathBuf) -> Self {
        Self {
            name: "proxy".to_owned(),
            http: Vec::new(),
            https: Vec::new(),
            certificates: None,
            servers,
            token,
            data_dir,
            workers: 0,
            trusted_proxies: Vec::new(),
            patience: Patience::default(),
            access_log: None,
            max_connections: MAX_CONNECTIONS,
            tcp_ports: TCP_PORTS,
            tcp_ports_taken: Vec::new(),
        }
    }

    /// Checks what can be checked before anything is touched.
    ///
    /// # Errors
    /// What is wrong, and what would be accepted.
    pub fn validate(&self) -> Result<(), String> {
        attach::check_servers(&self.servers)?;
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || self.name.len() > 100 || !self.name.chars().all(legal) {
            return Err(format!(
                "{:?} is no name of a proxy: give 1 to 100 letters, digits, '-', '_' and '.'",
                self.name
            ));
        }
        if self.http.is_empty() && self.https.is_empty() {
            return Err("no address is given: name at least one to take requests at, such as 127.0.0.1:8080".to_owned());
        }
        if self.workers > MOST_WORKERS {
            return Err(format!(
                "{} workers are too many: give 1 to {MOST_WORKERS}, or 0 for one a core",
                self.workers
            ));
        }
        if !(1..=MOST_CONNECTIONS).contains(&self.max_connections) {
            return Err(format!(
                "{} connections at most cannot be: give 1 to {MOST_CONNECTIONS}",
                self.max_connections
            ));
        }
        if self.patience.head.is_zero() || self.patience.rest.is_zero() {
            return Err("clients that may take no time at all cannot be served: give them more than 0 s".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_cannot_work_is_refused_before_anything_is_touched() {
        let mut config = ProxyConfig::new(vec!["127.0.0.1:8001".to_owned()], Token::new("t"), PathBuf::from("d"));
        config.http = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        assert_eq!(config.validate(), Ok(()));
        let name = |name: &str| ProxyConfig { name: name.to_owned(), ..config.clone() };
        let table = [
            (ProxyConfig { servers: Vec::new(), ..config.clone() }, "no server"),
            (ProxyConfig { http: Vec::new(), ..config.clone() }, "no address"),
            (name(""), "no name of a proxy"),
            (name("a/b"), "no name of a proxy"),
            (name(&"x".repeat(101)), "no name of a proxy"),
            (ProxyConfig { workers: 1_025, ..config.clone() }, "1025 workers"),
            (ProxyConfig { max_connections: 0, ..config.clone() }, "0 connections"),
            (
                ProxyConfig { patience: Patience { rest: Duration::ZERO, ..Patience::default() }, ..config.clone() },
                "no time",
            ),
        ];
        for (config, words) in table {
            let error = config.validate().expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }
}
