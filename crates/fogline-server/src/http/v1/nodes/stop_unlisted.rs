//! `DELETE /api/v1/nodes/{id}/unlisted/{replica}`.

use axum::extract::State;
use fogline_api::http::NodeResponse;
use fogline_core::command::{Command, Outcome};
use fogline_core::id::{DeploymentId, ReplicaId};
use uuid::Uuid;

use crate::http::answer::{Changed, unexpected};
use crate::http::app::App;
use crate::http::extract::{Admin, NoBody, PathIds};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ChangeProblems;

/// Has a node stop a replica that the cluster has no row of. It is listed as `unlisted` until its agent says that it is
/// gone.
#[utoipa::path(
    delete, path = "/api/v1/nodes/{id}/unlisted/{replica}", operation_id = "stopUnlistedReplica", tag = "nodes",
    params(
        ("id" = String, Path, description = "The node's id or name"),
        ("replica" = String, Path, description = "The replica's id, one of the node's `unlisted`"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    responses((status = 202, description = "Its agent is told; the node as it is now", body = NodeResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    Admin(caller): Admin,
    PathIds(id, replica): PathIds,
    NoBody { key }: NoBody,
) -> ApiResult<Changed<NodeResponse>> {
    let node = super::find(&app, &id).await?;
    let replica_id: ReplicaId = replica.parse().map_err(|_| ApiError::not_found("unlisted replica", &replica))?;
    // Most have no row. One that has ended has, and what its agent is told then names what it was.
    let row = app.shared.store.replica(replica_id).await?;
    let (deployment_id, revision) =
        row.map_or((DeploymentId::from_uuid(Uuid::nil()), 0), |row| (row.deployment_id, row.revision));
    let command = Command::StopUnlisted { node_id: node.id, replica_id, deployment_id, revision };
    let done = app.shared.writer.submit(caller.request(command, key)).await?;
    match done.outcome {
        Outcome::Noted => Ok(Changed::accepted(super::shown(&app, node).await?, done.replayed)),
        other => Err(unexpected(&other)),
    }
}
