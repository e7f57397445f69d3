//! `GET /api/v1/deployments/{id}/replicas`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{Page, ReplicaResponse};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::app::App;
use crate::http::extract::{Caller, Params, PathId, page_request, visible_deployment};
use crate::http::present;
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// Which replicas.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Those that have ended, too; the last 50 of them are kept.
    pub include_ended: Option<bool>,
    /// `next` of the page before; none for the first page.
    pub cursor: Option<String>,
    /// Rows on the page, 1 to 200; 50 when nothing is said.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// The replicas of a deployment, oldest first, as their agents saw them.
#[utoipa::path(
    get, path = "/api/v1/deployments/{id}/replicas", operation_id = "listReplicas", tag = "deployments",
    params(("id" = String, Path, description = "The deployment's id, or the caller's own name for it"), Query),
    responses((status = 200, description = "A page of replicas", body = Page<ReplicaResponse>), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Params(query): Params<Query>,
) -> ApiResult<Json<Page<ReplicaResponse>>> {
    let request = page_request(query.cursor, query.limit)?;
    let record = visible_deployment(&app, &caller, &id).await?;
    let page = app.shared.store.replicas(record.id, &request, query.include_ended.unwrap_or(false)).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for replica in page.items {
        items.push(present::replica(&app, replica).await?);
    }
    Ok(Json(Page { items, next: page.next }))
}
