//! `DELETE /api/v1/nodes/{id}`.

use axum::extract::State;
use fogline_core::command::{Command, Outcome};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::answer::{Gone, unexpected};
use crate::http::app::App;
use crate::http::extract::{Admin, NoBody, Params, PathId};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;

/// How.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Whether the node will not come back, so that its replicas are given up.
    #[serde(default)]
    pub force: bool,
}

/// Removes a node. Refused while it holds replicas, unless `force` says that it will not come back.
#[utoipa::path(
    delete, path = "/api/v1/nodes/{id}", operation_id = "deleteNode", tag = "nodes",
    params(
        ("id" = String, Path, description = "The node's id or name"),
        Query,
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    responses((status = 204, description = "Removed"), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(id): PathId,
    Params(query): Params<Query>,
    NoBody { key }: NoBody,
) -> ApiResult<Gone> {
    // Core answers a repeated request even when the node is gone.
    let node_id = super::find_id(&app, &id).await?;
    let command = Command::DeleteNode { node_id, force: query.force };
    let done = app.shared.writer.submit(caller.request(command, key)).await?;
    match done.outcome {
        Outcome::NodeDeleted { .. } => Ok(Gone { replayed: done.replayed }),
        other => Err(unexpected(&other)),
    }
}
