//! `GET /api/v1/nodes/{id}`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::NodeResponse;

use crate::http::app::App;
use crate::http::extract::{Caller, PathId};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// One node.
#[utoipa::path(
    get, path = "/api/v1/nodes/{id}", operation_id = "getNode", tag = "nodes",
    params(("id" = String, Path, description = "The node's id or name")),
    responses((status = 200, description = "The node", body = NodeResponse), ReadProblems),
)]
pub async fn handler(State(app): State<App>, _: Caller, PathId(id): PathId) -> ApiResult<Json<NodeResponse>> {
    let record = super::find(&app, &id).await?;
    Ok(Json(super::shown(&app, record).await?))
}
