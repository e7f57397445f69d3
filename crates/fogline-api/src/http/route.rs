//! Routes, and the proxies that requests come in by.

use fogline_core::id::{DeploymentId, UserId};
use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A line of `GET /api/v1/routes`: one way in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RouteResponse {
    /// The host that requests name; absent for any, and for a TCP port.
    #[serde(default)]
    #[schema(example = "shop.example.com")]
    pub host: Option<String>,
    /// What the path begins with; absent for a TCP port.
    #[serde(default)]
    #[schema(example = "/api")]
    pub path: Option<String>,
    /// Whether replicas are asked for the path without that beginning.
    pub strip_path: bool,
    /// The port of the proxies whose connections are passed on; absent for HTTP.
    #[serde(default)]
    pub tcp_port: Option<u16>,
    /// The deployment that requests go to.
    pub deployment_id: DeploymentId,
    /// Its name.
    #[schema(example = "shop")]
    pub deployment: String,
    /// Whose it is.
    pub user_id: UserId,
    /// Whether it has been asked for no replica, so that the next request wakes it.
    pub asleep: bool,
    /// Why its replicas do not come up, where they do not.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Replicas that take requests.
    pub upstreams_ready: u32,
    /// Replicas that proxies know: those that start or leave, too.
    pub upstreams: u32,
    /// Requests a second of the whole deployment; absent where no proxy has told lately.
    #[serde(default)]
    #[schema(example = 120.0)]
    pub request_rate: Option<f64>,
    /// Where the attached proxies take requests for it.
    #[schema(example = json!(["http://127.0.0.1:8080"]))]
    pub listeners: Vec<String>,
}

/// A line of `GET /api/v1/proxies`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProxyResponse {
    /// Its name.
    #[schema(example = "edge-1")]
    pub name: String,
    /// Version of its program.
    pub version: String,
    /// Where it takes HTTP.
    #[schema(example = json!(["127.0.0.1:8080"]))]
    pub http: Vec<String>,
    /// Where it takes HTTPS.
    pub https: Vec<String>,
    /// Since when it is attached to the server that leads.
    pub attached_at: Timestamp,
    /// When it was heard last. It says something every second.
    pub last_heard_at: Timestamp,
    /// Requests that are with a replica by way of it.
    pub open: u64,
    /// Requests that wait there.
    pub held: u64,
}
