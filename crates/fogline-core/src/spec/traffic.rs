//! How the proxy treats the requests for a deployment. Changes apply at once and replace no replica. Tests of the ranges:
//! `tests/it/front/specs.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DeploymentSpec;
use super::validate::{Check, is_request_path, shown};

const MAX_NOT_COUNTED: usize = 32;
const MAX_BODY_BYTES: usize = 64 * 1_024;

/// What replicas speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamProtocol {
    /// HTTP/1.1, and WebSocket and other upgrades from it.
    #[default]
    Http1,
    /// HTTP/2 without TLS and without asking first, as gRPC servers speak it.
    H2,
}

/// How requests are passed on. Every field has a default.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrafficSpec {
    /// `http1` or `h2`.
    pub protocol: UpstreamProtocol,
    /// Seconds a replica has for the head of its answer, 1 to 3600.
    pub timeout_s: u32,
    /// Seconds after which a body, an upgraded connection or a TCP connection that nothing moves on is cut, 1 to 86400.
    pub idle_timeout_s: u32,
    /// The largest body of a request, 1 to 102400. A larger one is refused with 413.
    pub max_body_mb: u32,
    /// Requests that one replica is given at the same time, 1 to 100000. More wait in turn, as at zero.
    pub max_open_per_replica: u32,
    /// Seconds over which a new replica is brought up to its full share, 0 to 3600.
    pub slow_start_s: u32,
    /// What becomes of requests while no replica can take them.
    pub hold: HoldSpec,
    /// Requests that say nothing of load: health probes and scrapes. They are passed on, and neither counted nor do they
    /// wake or keep awake. At most 32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_counted: Vec<NotCounted>,
}

impl Default for TrafficSpec {
    fn default() -> Self {
        Self {
            protocol: UpstreamProtocol::default(),
            timeout_s: 60,
            idle_timeout_s: 600,
            max_body_mb: 64,
            max_open_per_replica: 256,
            slow_start_s: 10,
            hold: HoldSpec::default(),
            not_counted: Vec::new(),
        }
    }
}

/// The bounds of waiting.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HoldSpec {
    /// Requests that may wait, 0 to 10000; one more is refused with 503.
    pub max_requests: u32,
    /// Seconds one may wait, 1 to 600; then it is refused with 503 and why.
    pub timeout_s: u32,
    /// What is answered at once to a browser (a GET that accepts text/html) that meets a sleeping deployment, instead of
    /// holding it. It wakes the deployment all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<PlaceholderSpec>,
}

impl Default for HoldSpec {
    fn default() -> Self {
        Self { max_requests: 5_000, timeout_s: 60, placeholder: None }
    }
}

/// An answer in place of the deployment's own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceholderSpec {
    /// Its status, 200 to 599.
    #[serde(default = "default_placeholder_status")]
    pub status: u16,
    /// What it is; `text/html; charset=utf-8` when nothing is said.
    #[serde(default = "default_content_type")]
    pub content_type: String,
    /// The answer, at most 65536 bytes. A page of the proxy's own, which asks again by itself, when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

const fn default_placeholder_status() -> u16 {
    503
}

fn default_content_type() -> String {
    "text/html; charset=utf-8".to_owned()
}

/// Requests of which either is true.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotCounted {
    /// The path is this, before anything is stripped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `User-Agent` begins with this, such as `kube-probe/` or `Prometheus/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

impl DeploymentSpec {
    pub(super) fn validate_traffic(&self, check: &mut Check) {
        let Some(traffic) = &self.traffic else { return };
        check.range("traffic.timeout_s", traffic.timeout_s, &(1..=3_600), "seconds");
        check.range("traffic.idle_timeout_s", traffic.idle_timeout_s, &(1..=86_400), "seconds");
        check.range("traffic.max_body_mb", traffic.max_body_mb, &(1..=102_400), "MB");
        check.range("traffic.max_open_per_replica", traffic.max_open_per_replica, &(1..=100_000), "requests");
        check.range("traffic.slow_start_s", traffic.slow_start_s, &(0..=3_600), "seconds");
        check.range("traffic.hold.max_requests", traffic.hold.max_requests, &(0..=10_000), "requests");
        check.range("traffic.hold.timeout_s", traffic.hold.timeout_s, &(1..=600), "seconds");
        if let Some(placeholder) = &traffic.hold.placeholder {
            placeholder.validate(check);
        }
        check.that(
            traffic.not_counted.len() <= MAX_NOT_COUNTED,
            "traffic.not_counted",
            || format!("{} are too many", traffic.not_counted.len()),
            "at most 32",
        );
        for (at, one) in traffic.not_counted.iter().take(MAX_NOT_COUNTED).enumerate() {
            one.validate(check, &format!("traffic.not_counted[{at}]"));
        }
    }
}

impl PlaceholderSpec {
    fn validate(&self, check: &mut Check) {
        let status = self.status.into();
        check.range("traffic.hold.placeholder.status", status, &(200..=599), "as a final answer has it");
        let kind = &self.content_type;
        check.that(
            is_header_text(kind),
            "traffic.hold.placeholder.content_type",
            || format!("{:?} is no content type", shown(kind)),
            "1 to 200 printable ASCII characters, such as text/html",
        );
        let bytes = self.body.as_ref().map_or(0, String::len);
        check.that(
            bytes <= MAX_BODY_BYTES,
            "traffic.hold.placeholder.body",
            || format!("{bytes} bytes are too many"),
            "at most 65536 bytes",
        );
    }
}

impl NotCounted {
    fn validate(&self, check: &mut Check, field: &str) {
        check.that(
            self.path.is_some() || self.user_agent.is_some(),
            field,
            || "fits no request".to_owned(),
            "a path, a user_agent, or both",
        );
        if let Some(path) = &self.path {
            check.that(
                is_request_path(path, 1_024) && !path.contains(['?', '#']),
                &format!("{field}.path"),
                || format!("{:?} is no path", shown(path)),
                "a path that starts with / and has no query, at most 1024 characters",
            );
        }
        if let Some(agent) = &self.user_agent {
            check.that(
                is_header_text(agent),
                &format!("{field}.user_agent"),
                || format!("{:?} begins no user agent", shown(agent)),
                "1 to 200 printable ASCII characters",
            );
        }
    }
}

fn is_header_text(text: &str) -> bool {
    (1..=200).contains(&text.len()) && text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}
