//! What a user asks for. One struct serves the YAML file, the JSON body and the row of a revision.
//!
//! Decides which fields make a new revision ([`ReplicaTemplate`]) and which only steer the planner. Must never hold
//! anything observed. Ranges are in [`validate`]; a spec inside the cluster has passed them.

mod container;
mod health;
mod placement;
mod route;
mod template;
mod traffic;
mod validate;
mod warm_up;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::quantity::Resources;

pub use container::{ContainerSpec, MountSpec};
pub use health::{HealthCheck, HealthSpec};
pub use placement::{Constraint, ConstraintOperator, PlacementSpec, ScaleDownOrder, Spread, WhenFull};
pub use route::RouteSpec;
pub use template::ReplicaTemplate;
pub use traffic::{HoldSpec, NotCounted, PlaceholderSpec, TrafficSpec, UpstreamProtocol};
pub use validate::{FieldError, MAX_REPLICAS, MIN_REPLICAS, validate_command, validate_replicas, validate_username};
pub use warm_up::WarmUpSpec;

/// How a replica is run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// As a container from an image, by Docker or Podman.
    Docker,
    /// As a plain process on the node.
    Process,
}

impl Runtime {
    /// Every runtime there is.
    pub const ALL: [Self; 2] = [Self::Docker, Self::Process];

    /// The name in specs and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Process => "process",
        }
    }
}

impl std::fmt::Display for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A service: what to run, how many times, and where it may run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentSpec {
    /// 1 to 100 letters, digits, `-` and `_`; unique among its owner's deployments.
    pub name: String,
    /// A label of the user's own, shown and kept.
    #[serde(rename = "type", default = "default_kind")]
    pub kind: String,
    /// `docker` when there is an image, `process` when there is only a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// The image to run, 1 to 500 characters. Needed by `docker`, meaningless for `process`.
    #[serde(default, alias = "image", skip_serializing_if = "Option::is_none")]
    pub container_image: Option<String>,
    /// Program and arguments. Needed by `process`; replaces the image's own for `docker`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Environment of each replica, beside `PORT` and the replica's identity.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Where a process starts; a directory of the replica's own when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// How many replicas, 1 to 100.
    #[serde(alias = "target_replicas", default = "default_replicas")]
    pub replicas: u32,
    /// What each replica reserves on its node.
    pub resources: Resources,
    /// The port that the service listens on. A process is told its own in `PORT`. A container may leave it out when its
    /// image exposes one TCP port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// A fixed port on the node, 1024 to 65535; at most one such replica fits on a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// How its containers are closed off. Only for `docker`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerSpec>,
    /// When a replica counts as ready; a TCP connection to its port when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthSpec>,
    /// What a new replica must do before it is given requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUpSpec>,
    /// Where requests for it come in, through the proxy; at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteSpec>,
    /// How the proxy treats them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficSpec>,
    /// Where replicas may run.
    #[serde(default)]
    pub placement: PlacementSpec,
    /// Which replicas go first when there are too many.
    #[serde(default)]
    pub scale_down: ScaleDownOrder,
    /// Seconds between SIGTERM and SIGKILL, 0 to 3600.
    #[serde(default = "default_grace_s")]
    pub grace_s: u32,
    /// Seconds that open requests get before a replica is told to stop, 0 to 3600.
    #[serde(default = "default_drain_timeout_s")]
    pub drain_timeout_s: u32,
}

fn default_kind() -> String {
    "compute".to_owned()
}

const fn default_replicas() -> u32 {
    1
}

const fn default_grace_s() -> u32 {
    10
}

const fn default_drain_timeout_s() -> u32 {
    30
}

impl DeploymentSpec {
    /// The runtime that was asked for, or the one that follows from what there is to run.
    #[must_use]
    pub fn runtime(&self) -> Runtime {
        self.runtime.unwrap_or(if self.container_image.is_none() && !self.command.is_empty() {
            Runtime::Process
        } else {
            Runtime::Docker
        })
    }

    /// The part of the spec that a running replica was started from: a change here replaces replicas.
    #[must_use]
    pub fn template(&self) -> ReplicaTemplate {
        ReplicaTemplate {
            runtime: self.runtime(),
            container_image: self.container_image.clone(),
            command: self.command.clone(),
            env: self.env.clone(),
            working_dir: self.working_dir.clone(),
            resources: self.resources,
            port: self.port,
            host_port: self.host_port,
            container: self.container.clone(),
            health: self.health.clone(),
            warm_up: self.warm_up.clone(),
            grace_s: self.grace_s,
            drain_timeout_s: self.drain_timeout_s,
        }
    }
}
