//! `PATCH /api/v1/nodes/{id}`.

use axum::extract::State;
use fogline_api::http::{NodeResponse, PatchNodeRequest};
use fogline_core::command::{Command, Outcome};

use crate::http::answer::{Changed, unexpected};
use crate::http::app::App;
use crate::http::extract::{Admin, Body, PathId};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ChangeProblems;

/// Changes what is there: cordons, drains, labels.
#[utoipa::path(
    patch, path = "/api/v1/nodes/{id}", operation_id = "patchNode", tag = "nodes",
    params(
        ("id" = String, Path, description = "The node's id or name"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    request_body = PatchNodeRequest,
    responses((status = 200, description = "The node as it is now", body = NodeResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(id): PathId,
    Body { value, key }: Body<PatchNodeRequest>,
) -> ApiResult<Changed<NodeResponse>> {
    let node = super::find(&app, &id).await?;
    let command = Command::UpdateNode {
        node_id: node.id,
        cordoned: value.cordoned,
        draining: value.draining,
        labels: value.labels,
    };
    let done = app.shared.writer.submit(caller.request(command, key)).await?;
    let Outcome::NodeUpdated { node_id } = done.outcome else { return Err(unexpected(&done.outcome)) };
    let gone = || ApiError::not_found("node", &node_id.to_string());
    let record = app.shared.store.node(node_id).await?.ok_or_else(gone)?;
    Ok(Changed::ok(super::shown(&app, record).await?, done.replayed))
}
