//! `GET /api/deployment/list`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::SeedDeploymentList;

use crate::http::app::App;
use crate::http::extract::{Caller, Params};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;
use crate::http::v1::deployments::list::{Query, filter, list};

/// Lists the caller's deployments, oldest first.
#[utoipa::path(
    get, path = "/api/deployment/list", operation_id = "seedList", tag = "seeds",
    params(Query),
    responses((status = 200, description = "A page of deployments", body = SeedDeploymentList), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<Query>,
) -> ApiResult<Json<SeedDeploymentList>> {
    let first = query.cursor.is_none();
    let filter = filter(&caller, &query);
    let page = list(&app, &caller, query).await?;
    // Where everything is on this page, it was counted already.
    let whole = first && page.next.is_none();
    let total = if whole { page.items.len() as u64 } else { app.shared.store.deployment_count(&filter).await? };
    Ok(Json(SeedDeploymentList { total, deployments: page.items, next: page.next }))
}
