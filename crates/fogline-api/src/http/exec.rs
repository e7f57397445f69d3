//! A command in a replica.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long a command may take when nothing is said, in seconds.
pub const DEFAULT_EXEC_TIMEOUT_S: u32 = 10;

/// `POST /api/v1/deployments/{id}/replicas/{replica}/exec`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecCommandRequest {
    /// Program and arguments; no shell looks at them.
    #[schema(example = json!(["cat", "/etc/hostname"]))]
    pub command: Vec<String>,
    /// How long it may take, 1 to 60 seconds; then it is killed.
    #[serde(default = "default_timeout_s")]
    #[schema(minimum = 1, maximum = 60, default = 10)]
    pub timeout_s: u32,
}

const fn default_timeout_s() -> u32 {
    DEFAULT_EXEC_TIMEOUT_S
}

/// What a command has left.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExecCommandResponse {
    /// Its exit code, 128 + signal where a signal ended it; 127 or 126 where it could not be run.
    pub exit_code: i32,
    /// What it wrote to standard output. Bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// Whether it wrote more than the 1 MiB that is kept.
    pub truncated: bool,
}
