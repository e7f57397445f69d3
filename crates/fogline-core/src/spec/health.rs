//! How a replica shows that it is ready to serve.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DeploymentSpec;
use super::validate::{Check, is_request_path, shown};

/// What is asked of a replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthCheck {
    /// That its port accepts a connection.
    #[default]
    Tcp,
    /// That a GET of `path` answers 200 to 399.
    Http,
    /// Nothing: it is ready when it runs.
    None,
}

/// The readiness check of a deployment's replicas.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthSpec {
    /// `tcp`, `http` or `none`.
    #[serde(rename = "type", default)]
    pub check: HealthCheck,
    /// The path of an HTTP check, starting with `/`.
    #[serde(default = "default_path")]
    pub path: String,
    /// Seconds between two checks of a ready replica, 1 to 3600. One that is not ready yet is asked more often.
    #[serde(default = "default_interval_s")]
    pub interval_s: u32,
    /// Seconds that an answer may take, 1 to 60.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u32,
    /// Checks in a row that must fail before a ready replica counts as not ready, 1 to 100.
    #[serde(default = "default_unhealthy_after")]
    pub unhealthy_after: u32,
    /// Seconds a new replica has to become ready before it is restarted, 1 to 3600.
    #[serde(default = "default_start_timeout_s")]
    pub start_timeout_s: u32,
}

fn default_path() -> String {
    "/".to_owned()
}

const fn default_interval_s() -> u32 {
    5
}

const fn default_timeout_s() -> u32 {
    2
}

const fn default_unhealthy_after() -> u32 {
    3
}

const fn default_start_timeout_s() -> u32 {
    60
}

impl Default for HealthSpec {
    fn default() -> Self {
        Self {
            check: HealthCheck::default(),
            path: default_path(),
            interval_s: default_interval_s(),
            timeout_s: default_timeout_s(),
            unhealthy_after: default_unhealthy_after(),
            start_timeout_s: default_start_timeout_s(),
        }
    }
}

impl DeploymentSpec {
    pub(super) fn validate_health(&self, check: &mut Check) {
        let Some(health) = &self.health else { return };
        if health.check != HealthCheck::None {
            check.that(
                self.port.is_some(),
                "health",
                || "has no port to ask".to_owned(),
                "a port, or health type none",
            );
        }
        check.that(
            is_request_path(&health.path, 2_048),
            "health.path",
            || format!("{:?} is no path", shown(&health.path)),
            "a path that starts with / and needs no escaping",
        );
        check.range("health.interval_s", health.interval_s, &(1..=3_600), "seconds");
        check.range("health.timeout_s", health.timeout_s, &(1..=60), "seconds");
        check.range("health.unhealthy_after", health.unhealthy_after, &(1..=100), "checks");
        check.range("health.start_timeout_s", health.start_timeout_s, &(1..=3_600), "seconds");
    }
}
