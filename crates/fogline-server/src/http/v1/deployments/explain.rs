//! `GET /api/v1/deployments/{id}/explain`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{ExplainResponse, ReplicaPlace};
use fogline_core::Cluster;
use fogline_core::cluster::Deployment;
use fogline_core::placement;
use fogline_core::state::DeploymentStatus;
use fogline_core::time::Timestamp;

use crate::http::app::App;
use crate::http::extract::{Caller, PathId, visible_deployment};
use crate::http::present;
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// Why a deployment is where it is, or why it does not fit: every filter's word on every node, and the scores.
#[utoipa::path(
    get, path = "/api/v1/deployments/{id}/explain", operation_id = "explainDeployment", tag = "deployments",
    params(("id" = String, Path, description = "The deployment's id, or the caller's own name for it")),
    responses((status = 200, description = "The explanation", body = ExplainResponse), ReadProblems),
)]
pub async fn handler(State(app): State<App>, caller: Caller, PathId(id): PathId) -> ApiResult<Json<ExplainResponse>> {
    let record = visible_deployment(&app, &caller, &id).await?;
    let reason = present::last_reason(&app, &record).await?;
    let (actor, id) = (caller.actor(), record.id);
    let _place = app.place_to_explain()?;
    let explained = app
        .shared
        .writer
        .view(move |cluster, now| {
            cluster.visible_deployment(&actor, id).map(|deployment| explain(cluster, deployment, reason, now))
        })
        .await?;
    Ok(Json(explained?))
}

fn explain(cluster: &Cluster, deployment: &Deployment, reason: Option<String>, now: Timestamp) -> ExplainResponse {
    let record = &deployment.record;
    let replicas: Vec<ReplicaPlace> = cluster
        .replicas_of(deployment)
        .map(|replica| ReplicaPlace {
            replica_id: replica.id,
            node: replica.node_id.and_then(|node| cluster.nodes().get(node)).map(|node| node.name.clone()),
            status: replica.status,
            reason: replica.reason.as_ref().map(|reason| reason.to_string()),
        })
        .collect();
    let live = replicas.iter().filter(|replica| replica.status.is_live()).count();
    let placed = u32::try_from(live).unwrap_or(u32::MAX);
    let missing = record.target_replicas.saturating_sub(placed);
    let demand = cluster.demand(record.id, &record.spec);
    let siblings = cluster.siblings(deployment, now);
    let placement =
        placement::explain(cluster.nodes(), &demand, &siblings, missing.max(1), now, cluster.settings().load_max_age);
    let fits = missing == 0 || placement.found >= missing;
    let message = match (record.status, missing) {
        (DeploymentStatus::Stopped, _) => format!("It is stopped. If it were started: {}", placement.summary()),
        (_, 0) => format!("All {} replicas have a place. One more: {}", record.target_replicas, placement.summary()),
        (status, _) => {
            let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("It is {status}{why}. Now: {}", placement.summary())
        }
    };
    ExplainResponse { deployment_id: Some(record.id), status: Some(record.status), fits, message, placement, replicas }
}
