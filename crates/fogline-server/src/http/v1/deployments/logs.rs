//! `GET /api/v1/deployments/{id}/logs` and `…/replicas/{replica}/logs`: what a replica has written, as text.
//!
//! Nothing is kept on the way: the bytes come from the agent as they are. Sent as plain text that no browser may take
//! for anything else.

use axum::body::Body as ResponseBody;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use fogline_api::http::ProblemKind;
use fogline_core::id::ReplicaId;
use fogline_core::record::{DeploymentRecord, ReplicaRecord};
use fogline_store::PageRequest;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::app::{App, Http};
use crate::http::extract::{Caller, Params, PathId, PathIds, visible_deployment};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ReadProblems;

const DEFAULT_TAIL_LINES: u32 = 100;
const MAX_TAIL_LINES: u32 = 10_000;

/// Which part of which log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The replica's id; the newest replica when nothing is said.
    pub replica: Option<ReplicaId>,
    /// Lines from the end, 0 to 10000; 100 when nothing is said.
    #[param(minimum = 0, maximum = 10000)]
    pub tail: Option<u32>,
    /// Whether to wait for more until the replica is gone.
    pub follow: Option<bool>,
}

/// Which part of a log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PartQuery {
    /// Lines from the end, 0 to 10000; 100 when nothing is said.
    #[param(minimum = 0, maximum = 10000)]
    pub tail: Option<u32>,
    /// Whether to wait for more until the replica is gone.
    pub follow: Option<bool>,
}

/// The log of one of a deployment's replicas.
#[utoipa::path(
    get, path = "/api/v1/deployments/{id}/logs", operation_id = "readLog", tag = "deployments",
    params(("id" = String, Path, description = "The deployment's id, or the caller's own name for it"), Query),
    responses((status = 200, description = "The log", body = String, content_type = "text/plain"), ReadProblems),
)]
pub async fn of_deployment(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Params(query): Params<Query>,
) -> ApiResult<Response> {
    let deployment = visible_deployment(&app, &caller, &id).await?;
    let replica = match query.replica {
        Some(replica) => replica_of(&app, &deployment, &replica.to_string()).await?,
        None => newest(&app, &deployment).await?,
    };
    stream(&app, &caller, replica, query.tail, query.follow).await
}

/// The log of a replica.
#[utoipa::path(
    get, path = "/api/v1/deployments/{id}/replicas/{replica}/logs", operation_id = "readReplicaLog", tag = "deployments",
    params(
        ("id" = String, Path, description = "The deployment's id, or the caller's own name for it"),
        ("replica" = String, Path, description = "The replica's id"),
        PartQuery,
    ),
    responses((status = 200, description = "The log", body = String, content_type = "text/plain"), ReadProblems),
)]
pub async fn of_replica(
    State(app): State<App>,
    caller: Caller,
    PathIds(id, replica): PathIds,
    Params(query): Params<PartQuery>,
) -> ApiResult<Response> {
    let deployment = visible_deployment(&app, &caller, &id).await?;
    let replica = replica_of(&app, &deployment, &replica).await?;
    stream(&app, &caller, replica, query.tail, query.follow).await
}

/// A replica of this deployment: the id of somebody else's is as good as none.
pub(super) async fn replica_of(app: &Http, deployment: &DeploymentRecord, id: &str) -> ApiResult<ReplicaRecord> {
    let not_found = || ApiError::not_found("replica", id);
    let parsed: ReplicaId = id.parse().map_err(|_| not_found())?;
    let found = app.shared.store.replica(parsed).await?;
    found.filter(|replica| replica.deployment_id == deployment.id).ok_or_else(not_found)
}

async fn newest(app: &Http, deployment: &DeploymentRecord) -> ApiResult<ReplicaRecord> {
    for include_ended in [false, true] {
        let request = PageRequest::first(fogline_store::MAX_PAGE);
        let page = app.shared.store.replicas(deployment.id, &request, include_ended).await?;
        if let Some(replica) = page.items.into_iter().max_by_key(|replica| replica.id) {
            return Ok(replica);
        }
    }
    Err(ApiError::new(ProblemKind::NotFound, "the deployment has no replicas, so there is no log"))
}

async fn stream(
    app: &Http,
    caller: &Caller,
    replica: ReplicaRecord,
    tail: Option<u32>,
    follow: Option<bool>,
) -> ApiResult<Response> {
    let tail = tail.unwrap_or(DEFAULT_TAIL_LINES);
    if tail > MAX_TAIL_LINES {
        return Err(ApiError::field("tail", format!("{tail} is out of range"), format!("0 to {MAX_TAIL_LINES}")));
    }
    let Some(node_id) = replica.node_id else {
        return Err(ApiError::new(ProblemKind::NotFound, "the replica's node was removed, and its log with it"));
    };
    let log = app.shared.logs.open(caller.user.id, node_id, replica.id, tail, follow.unwrap_or(false)).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], ResponseBody::from_stream(log)).into_response())
}
