//! Every setting: its key, its range, its default, what it means.
//!
//! Invariant: a default here is the default of [`fogline_server::ServerConfig`]; a test compares them.

use crate::env::PREFIX;

/// What a value must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `address:port`.
    Address,
    /// A path; relative ones start from the working directory.
    Path,
    /// A whole number in this range.
    Number(u64, u64),
    /// A whole number, or `unlimited`.
    Limit,
    /// `FIRST-LAST`, ports of this machine.
    Ports,
    /// A container engine: `auto`, `off`, or `unix://` and the path of its socket.
    Engine,
    /// Absolute paths other than `/`, separated by commas; none when empty.
    Paths,
    /// Where a proxy listens: `off`, `auto`, or one or more `address:port`, separated by commas.
    Doors,
    /// Addresses and networks, separated by commas; none when empty.
    Networks,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any text.
    Text,
    /// Text that is never shown.
    Secret,
}

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Its key in the file, with a dot for each table.
    pub key: &'static str,
    /// The flag that sets it, without dashes.
    pub flag: Option<&'static str>,
    /// What it must be.
    pub kind: Kind,
    /// What it is when nobody says anything; empty for nothing.
    pub default: &'static str,
    /// What it means.
    pub help: &'static str,
}

impl Definition {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.replace('.', "_").to_uppercase())
    }
}

/// Variables of the command line's own, and those that replicas are given.
pub const CLIENT_VARIABLES: &[&str] = &["SERVER", "TOKEN", "PASSWORD", "OUTPUT", "CONFIG", "CREDENTIALS"];

const fn setting(key: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Definition {
    Definition { key, flag: None, kind, default, help }
}

const fn flagged(
    key: &'static str,
    flag: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Definition {
    Definition { key, flag: Some(flag), kind, default, help }
}

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// All of them, in the order in which they are shown.
pub const SETTINGS: &[Definition] = &[
    flagged("data", "data", Kind::Path, "fogline-data", "directory of the database, keys and tokens"),
    flagged(
        "database_url",
        "database-url",
        Kind::Secret,
        "",
        "the database: postgres://USER@HOST:PORT/NAME, which several servers may share; SQLite in `data` when empty",
    ),
    flagged("listen", "listen", Kind::Address, "127.0.0.1:8000", "where the HTTP API listens"),
    flagged("agent_listen", "agent-listen", Kind::Address, "127.0.0.1:8001", "where agents attach"),
    flagged(
        "advertise",
        "advertise",
        Kind::Text,
        "",
        "host:port at which the other servers of a database reach this one's HTTP API; `listen` when empty",
    ),
    flagged(
        "agent_advertise",
        "agent-advertise",
        Kind::Text,
        "",
        "host:port at which agents reach this server; `agent_listen` when empty",
    ),
    setting(
        "lease_s",
        // Agents hang up on a server that is silent for 4 s: by the end of the lease none listens to a frozen one.
        Kind::Number(5, 60),
        "6",
        "seconds after which another server takes over from one that is not heard of; PostgreSQL only",
    ),
    setting(
        "admin_password",
        Kind::Secret,
        "",
        "password of the first administrator; generated and printed once when empty",
    ),
    flagged(
        "log.level",
        "log-level",
        Kind::Text,
        "info",
        "what is logged: error, warn, info, debug, trace, or a filter such as info,fogline_server=debug",
    ),
    flagged("log.format", "log-format", Kind::Word(&["text", "json"]), "text", "how log lines look"),
    setting("evaluation_interval_s", Kind::Number(1, 300), "5", "seconds between two evaluations of a scaling target"),
    setting(
        "prometheus_url",
        Kind::Text,
        "",
        "the Prometheus server that is asked for a metric where a scaling policy names none",
    ),
    setting(
        "metric_allow_private",
        Kind::Word(&["auto", "on", "off"]),
        "auto",
        "whether URLs in scaling policies may lead to this machine and private networks; auto: in fogline dev",
    ),
    setting("heartbeat_interval_s", Kind::Number(1, 60), "3", "seconds between two signs of life of an agent"),
    setting("node_timeout_s", Kind::Number(3, HOUR), "12", "seconds of silence after which a node counts as lost"),
    setting("load_max_age_s", Kind::Number(1, HOUR), "9", "seconds after which a node's load says nothing any more"),
    setting(
        "failure_memory_s",
        Kind::Number(0, DAY),
        "600",
        "seconds that a failure makes a node the last choice for its deployment",
    ),
    setting("replace_backoff_s", Kind::Number(1, HOUR), "1", "first pause before a failed replica is replaced"),
    setting("replace_backoff_max_s", Kind::Number(1, DAY), "300", "longest such pause"),
    setting("access_token_ttl_s", Kind::Number(60, DAY), "900", "seconds that an access token is good for"),
    setting(
        "refresh_token_ttl_s",
        Kind::Number(60, 3_650 * DAY),
        "2592000",
        "seconds that a login lasts when it is not used",
    ),
    setting("max_body_bytes", Kind::Number(1_024, 1 << 30), "1048576", "largest body of a request"),
    setting("writer_queue", Kind::Number(1, 1 << 20), "8192", "changes that may wait for the writer"),
    setting("shutdown_grace_s", Kind::Number(0, HOUR), "10", "seconds that open requests get when the server stops"),
    setting("tier.free.deployments", Kind::Limit, "3", "deployments of a user of the tier free"),
    setting("tier.free.replicas", Kind::Limit, "10", "replicas of a user of the tier free"),
    setting("tier.free.policies", Kind::Limit, "1", "scaling policies of a user of the tier free"),
    setting("tier.pro.deployments", Kind::Limit, "20", "deployments of a user of the tier pro"),
    setting("tier.pro.replicas", Kind::Limit, "100", "replicas of a user of the tier pro"),
    setting("tier.pro.policies", Kind::Limit, "20", "scaling policies of a user of the tier pro"),
    setting("tier.enterprise.deployments", Kind::Limit, "unlimited", "deployments of a user of the tier enterprise"),
    setting("tier.enterprise.replicas", Kind::Limit, "unlimited", "replicas of a user of the tier enterprise"),
    setting("tier.enterprise.policies", Kind::Limit, "unlimited", "scaling policies of a user of the tier enterprise"),
    flagged(
        "agent.server",
        "server",
        Kind::Text,
        "127.0.0.1:8001",
        "where an agent finds its servers, separated by commas",
    ),
    flagged("agent.token_file", "token-file", Kind::Path, "", "file with the token that an agent shows"),
    flagged(
        "agent.ports",
        "ports",
        Kind::Ports,
        "20000-29999",
        "ports of this machine that replicas get, as FIRST-LAST",
    ),
    flagged(
        "agent.address",
        "address",
        Kind::Text,
        "127.0.0.1",
        "address of this machine that others reach replicas at",
    ),
    flagged(
        "agent.docker",
        "docker",
        Kind::Engine,
        "auto",
        "what runs containers: auto, off, or unix:///path/of/the/socket of Docker or Podman",
    ),
    flagged(
        "agent.allowed_mounts",
        "allow-mounts",
        Kind::Paths,
        "",
        "paths of this machine below which containers may be given directories, separated by commas",
    ),
    setting(
        "agent.registry_auth",
        Kind::Path,
        "",
        "file with credentials for registries, in the format of Docker's config.json; only its owner may read it",
    ),
    setting(
        "agent.image_gc_h",
        Kind::Number(0, 8_760),
        "24",
        "hours without use after which an image goes that the agent has pulled; 0 for never",
    ),
    setting(
        "agent.image_gc_disk_percent",
        Kind::Number(1, 100),
        "85",
        "such images go earlier while the engine's disk is fuller than this; 100 for never",
    ),
    flagged(
        "agent.data",
        "data",
        Kind::Path,
        "fogline-agent",
        "directory of an agent's state, its replicas and their logs",
    ),
    flagged(
        "proxy.listen",
        "proxy-listen",
        Kind::Doors,
        "off",
        "where requests come in, separated by commas; auto: 127.0.0.1:8080, or another port when that is taken",
    ),
    flagged("proxy.tls_listen", "proxy-tls-listen", Kind::Doors, "off", "the same with TLS; auto: 127.0.0.1:8443"),
    setting(
        "proxy.tcp_ports",
        Kind::Ports,
        "10000-19999",
        "ports that routes may have a proxy open, as FIRST-LAST; never those that replicas get, or its own",
    ),
    flagged(
        "proxy.certificates",
        "proxy-certificates",
        Kind::Path,
        "",
        "directory of certificates, NAME.crt with NAME.key; one for development is made when empty",
    ),
    flagged(
        "proxy.trusted",
        "proxy-trusted",
        Kind::Networks,
        "",
        "addresses and networks of proxies in front of this one, whose word on a client's address counts",
    ),
    flagged(
        "proxy.access_log",
        "proxy-access-log",
        Kind::Text,
        "off",
        "where each request is told as a line of JSON: off, stdout, or a file",
    ),
    flagged("proxy.name", "proxy-name", Kind::Text, "", "what a proxy is called; the name of the machine when empty"),
    setting("proxy.workers", Kind::Number(0, 1_024), "0", "threads of a proxy; 0 for one a core"),
    setting(
        "proxy.max_connections",
        Kind::Number(1, 1_000_000),
        "10000",
        "connections that a proxy has open at once; further ones wait",
    ),
    flagged(
        "proxy.data",
        "data",
        Kind::Path,
        "fogline-proxy",
        "directory of a proxy that runs alone; that of one in an agent is `proxy` in `agent.data`",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_in_the_document_with_its_default() {
        let document = include_str!("../../../../docs/operations.md");
        for Definition { key, default, .. } in SETTINGS {
            let row = document.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
            let row = row.unwrap_or_else(|| panic!("docs/operations.md has no row for {key}"));
            let shown = row.split('|').nth(2).expect("a column").trim().trim_matches('`');
            assert_eq!(shown, *default, "{key} in docs/operations.md");
        }
    }

    #[test]
    fn each_key_and_variable_is_there_once() {
        let mut variables: Vec<String> = SETTINGS.iter().map(Definition::variable).collect();
        variables.sort_unstable();
        variables.dedup();
        assert_eq!(variables.len(), SETTINGS.len());
        for client in CLIENT_VARIABLES {
            assert!(!variables.contains(&format!("{PREFIX}{client}")), "{client}");
        }
    }
}
