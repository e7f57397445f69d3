//! `/api/v1/deployments`. Their handlers serve the seeds' doors, too.

pub mod create;
pub mod decisions;
pub mod delete;
pub mod exec;
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
pub mod traffic;

use fogline_api::http::OperationResponse;
use fogline_core::command::{Command, IdempotencyKey};
use fogline_core::id::DeploymentId;
use fogline_core::state::DeploymentStatus;

use crate::Committed;
use crate::http::app::App;
use crate::http::extract::{Caller, deployment_to_change};
use crate::http::problem::ApiResult;

/// Has a change to the deployment that `id` means decided: the command is made for its id, and sent in the caller's name.
///
/// # Errors
/// When the deployment is not there, or not the caller's to change, or the command is refused.
async fn change(
    app: &App,
    caller: &Caller,
    id: &str,
    key: Option<IdempotencyKey>,
    command: impl FnOnce(DeploymentId) -> Command,
) -> ApiResult<Committed> {
    let deployment_id = deployment_to_change(app, caller, id, key.as_ref()).await?;
    Ok(app.shared.writer.submit(caller.request(command(deployment_id), key)).await?)
}

/// The answer to a change without what only some of them say.
fn operation(id: DeploymentId, status: DeploymentStatus, replicas: u32, message: String) -> OperationResponse {
    OperationResponse { success: true, deployment_id: id, status, replicas, message, revision: None, rolling: None }
}
