//! The part of a spec that each replica carries: what an agent needs to start one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ContainerSpec, HealthCheck, HealthSpec, Runtime, WarmUpSpec};
use crate::quantity::Resources;

/// One revision of what a replica is. Fields as in [`super::DeploymentSpec`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is documented where the user writes it, in DeploymentSpec")]
pub struct ReplicaTemplate {
    pub runtime: Runtime,
    pub container_image: Option<String>,
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub working_dir: Option<String>,
    pub resources: Resources,
    pub port: Option<u16>,
    pub host_port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerSpec>,
    pub health: Option<HealthSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUpSpec>,
    pub grace_s: u32,
    pub drain_timeout_s: u32,
}

impl ReplicaTemplate {
    /// How readiness is found out: what was asked for, else TCP where it has a port, as its spec or its image says, else
    /// that it runs.
    #[must_use]
    pub fn readiness(&self, has_port: bool) -> HealthSpec {
        self.health.clone().unwrap_or_else(|| {
            let check = if has_port { HealthCheck::Tcp } else { HealthCheck::None };
            HealthSpec { check, ..HealthSpec::default() }
        })
    }
}
