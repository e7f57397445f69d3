//! What a new replica does before it is given requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::validate::{Check, is_request_path, shown};
use super::{DeploymentSpec, Runtime};

/// A request to the replica, or a command in it, that must succeed once its readiness check passes and before it counts as
/// ready. One that fails or takes too long is a failed start. Exactly one of `path` and `command` is given.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WarmUpSpec {
    /// A GET of this path must answer 200 to 399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// This program with its arguments must end with 0, run where the replica runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// How often the request or command is made, one after the other, 1 to 1000.
    #[serde(default = "default_times")]
    pub times: u32,
    /// Seconds that all of it may take, 1 to 3600.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u32,
}

const fn default_times() -> u32 {
    1
}

const fn default_timeout_s() -> u32 {
    30
}

impl DeploymentSpec {
    pub(super) fn validate_warm_up(&self, check: &mut Check) {
        let Some(warm_up) = &self.warm_up else { return };
        check.that(
            warm_up.path.is_some() == warm_up.command.is_empty(),
            "warm_up",
            || "needs one thing to do".to_owned(),
            "either a path or a command",
        );
        if let Some(path) = &warm_up.path {
            check.that(
                is_request_path(path, 2_048),
                "warm_up.path",
                || format!("{:?} is no path", shown(path)),
                "a path that starts with / and needs no escaping",
            );
            check.that(
                self.port.is_some() || self.runtime() == Runtime::Docker,
                "warm_up.path",
                || "has no port to ask".to_owned(),
                "a path together with a port",
            );
        }
        check.command("warm_up.command", &warm_up.command);
        check.range("warm_up.times", warm_up.times, &(1..=1_000), "times");
        check.range("warm_up.timeout_s", warm_up.timeout_s, &(1..=3_600), "seconds");
    }
}
