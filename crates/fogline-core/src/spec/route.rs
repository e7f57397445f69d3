//! Where requests for a deployment come in.
//!
//! A route is a claim: no two deployments have the same one, and a host belongs to one user. That is checked where it is
//! claimed (`cluster/routes.rs`). Invariant: one way in can be written in one way only, or two deployments could have it.
//! Tests: `tests/it/front/specs.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::validate::{Check, shown};
use super::{DeploymentSpec, Runtime};

const MAX_ROUTES: usize = 32;
const MAX_HOST_CHARS: usize = 253;
const MAX_PATH_CHARS: usize = 1_024;

/// One way in, through the proxy: by host and path, or by a TCP port of the proxy's own.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// The host that requests name, without a port, such as `shop.example.com`, or `*.example.com` for every host one or
    /// more labels below. Any host when nothing is said. Only administrators may claim any host, a wildcard, an address,
    /// and a host of one label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What the path begins with, in whole segments: `/api` takes `/api` and `/api/x`, and leaves `/apis`. `/` when
    /// nothing is said; of several that fit, the longest counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether the replica is asked for the path without this beginning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strip_path: bool,
    /// A port of the proxy, 1024 to 65535, whose connections are passed on as they are. Excludes the fields above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_port: Option<u16>,
}

impl RouteSpec {
    /// Whether only administrators may claim it, because it is nobody's own: any host, a wildcard, an address, and a host
    /// of one label, as machines are called within a site.
    #[must_use]
    pub fn is_for_administrators(&self) -> bool {
        match &self.host {
            _ if self.tcp_port.is_some() => false,
            None => true,
            Some(host) => host.starts_with("*.") || !host.contains('.') || host.parse::<std::net::Ipv4Addr>().is_ok(),
        }
    }

    /// What the path begins with.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/")
    }
}

impl std::fmt::Display for RouteSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.tcp_port, self.host.as_deref().unwrap_or("*")) {
            (Some(port), _) => write!(f, "tcp:{port}"),
            (None, host) => write!(f, "{host}{}", self.path()),
        }
    }
}

impl DeploymentSpec {
    pub(super) fn validate_routes(&self, check: &mut Check) {
        let routes = &self.routes;
        if routes.is_empty() {
            return;
        }
        check.that(routes.len() <= MAX_ROUTES, "routes", || format!("{} are too many", routes.len()), "at most 32");
        if routes.len() > MAX_ROUTES {
            // Each is compared with all others below.
            return;
        }
        // A container's port may be the one that its image exposes; a process has only the one that it is told.
        check.that(
            self.port.is_some() || self.runtime() == Runtime::Docker,
            "routes",
            || "lead to a process that has no port".to_owned(),
            "routes together with a port",
        );
        for (at, route) in routes.iter().enumerate() {
            let field = format!("routes[{at}]");
            route.validate(check, &field);
            check.that(
                !routes[..at].iter().any(|other| other.is_same_way_in(route)),
                &field,
                || format!("{:?} is there twice", shown(&route.to_string())),
                "each host and path, and each tcp_port, once",
            );
        }
    }
}

impl RouteSpec {
    fn is_same_way_in(&self, other: &Self) -> bool {
        (self.tcp_port, &self.host, self.path()) == (other.tcp_port, &other.host, other.path())
    }

    fn validate(&self, check: &mut Check, field: &str) {
        if let Some(port) = self.tcp_port {
            check.that(
                port >= 1_024,
                &format!("{field}.tcp_port"),
                || format!("{port} is out of range"),
                "1024 to 65535",
            );
            check.that(
                self.host.is_none() && self.path.is_none() && !self.strip_path,
                field,
                || "has a tcp_port and more: whole connections are passed on, whatever they name".to_owned(),
                "a tcp_port alone, or a host and a path",
            );
            return;
        }
        if let Some(host) = &self.host {
            check.that(
                is_host(host),
                &format!("{field}.host"),
                || format!("{:?} is no host", shown(host)),
                "a name such as shop.example.com in lower case (xn-- where it is not ASCII) or *.example.com, without a \
                 port, at most 253 characters",
            );
        }
        if let Some(path) = &self.path {
            check.that(
                is_prefix(path),
                &format!("{field}.path"),
                || format!("{:?} is no path to begin with", shown(path)),
                "/ or a path such as /api/v1 without a query, an escape, an empty part, . or .., or a / at the end, at \
                 most 1024 characters",
            );
        }
    }
}

fn is_host(host: &str) -> bool {
    let name = host.strip_prefix("*.");
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let is_number = |name: &str| name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    host.len() <= MAX_HOST_CHARS
        && name.unwrap_or(host).split('.').all(is_label)
        // There is nothing below an address; and a name that ends like one is an address or nothing.
        && match name {
            Some(name) => !is_number(name),
            None => !is_number(host) || host.parse::<std::net::Ipv4Addr>().is_ok(),
        }
}

/// Escapes are refused: `/%61pi` and `/api` are one path to some servers and two to others.
fn is_prefix(path: &str) -> bool {
    let is_part = |part: &str| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(c);
        !part.is_empty() && part != "." && part != ".." && part.chars().all(legal)
    };
    path == "/"
        || (path.len() <= MAX_PATH_CHARS && path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_part)))
}
