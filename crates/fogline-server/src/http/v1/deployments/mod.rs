//! `/api/v1/deployments`. The functions beside the handlers serve the seeds' doors, too.

pub mod create;
pub mod delete;
pub mod explain;
pub mod explain_spec;
pub mod get;
pub mod history;
pub mod list;
pub mod logs;
pub mod patch;
pub mod replace;
pub mod replicas;
pub mod scale;
pub mod start;
pub mod stop;

use fogline_api::http::OperationResponse;
use fogline_core::id::DeploymentId;
use fogline_core::state::DeploymentStatus;

/// The answer to a change without what only some of them say.
fn operation(id: DeploymentId, status: DeploymentStatus, replicas: u32, message: String) -> OperationResponse {
    OperationResponse { success: true, deployment_id: id, status, replicas, message, revision: None, rolling: None }
}
