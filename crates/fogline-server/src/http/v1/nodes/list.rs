//! `GET /api/v1/nodes`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{NodeResponse, Page};

use crate::http::app::App;
use crate::http::extract::{Caller, Paging, Params};
use crate::http::present;
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// Lists nodes by name, with what is free on them.
#[utoipa::path(
    get, path = "/api/v1/nodes", operation_id = "listNodes", tag = "nodes",
    params(Paging),
    responses((status = 200, description = "A page of nodes", body = Page<NodeResponse>), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    _: Caller,
    Params(paging): Params<Paging>,
) -> ApiResult<Json<Page<NodeResponse>>> {
    let page = app.shared.store.nodes(&paging.request()?).await?;
    Ok(Json(Page { items: present::nodes(&app, page.items).await?, next: page.next }))
}
