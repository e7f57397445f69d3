//! `GET /api/deployment/status/{id}`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{SeedReplica, SeedStatusResponse};

use crate::http::app::App;
use crate::http::extract::{Caller, PathId, visible_deployment};
use crate::http::present;
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// A deployment's status, with its replicas.
#[utoipa::path(
    get, path = "/api/deployment/status/{id}", operation_id = "seedStatus", tag = "seeds",
    params(("id" = String, Path, description = "The deployment's id, or the caller's own name for it")),
    responses((status = 200, description = "The status", body = SeedStatusResponse), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> ApiResult<Json<SeedStatusResponse>> {
    let record = visible_deployment(&app, &caller, &id).await?;
    let live = present::live_replicas(&app, &record).await?;
    let health = present::health_of(&app, &record, &live);
    let mut replicas = Vec::with_capacity(live.len());
    for replica in live {
        let replica = present::replica(&app, replica).await?;
        replicas.push(SeedReplica {
            id: replica.id,
            node_id: replica.node_id,
            node: replica.node,
            status: replica.status,
            ready: replica.ready,
            container_id: replica.container_id,
            endpoint: replica.endpoint,
            restarts: replica.restarts,
            created_at: replica.created_at,
            started_at: replica.started_at,
            stopped_at: replica.stopped_at,
        });
    }
    Ok(Json(SeedStatusResponse {
        deployment_id: record.id,
        name: record.spec.name.clone(),
        kind: record.spec.kind.clone(),
        status: record.status,
        reason: present::last_reason(&app, &record).await?,
        container_image: record.spec.container_image.clone(),
        target_replicas: record.target_replicas,
        replicas,
        health,
        resources: record.spec.resources,
        created_at: record.created_at,
        updated_at: record.updated_at,
    }))
}
