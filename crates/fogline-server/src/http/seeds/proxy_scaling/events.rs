//! `GET /proxy/scaling/events/{proxyId}`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::ProxyEventResponse;
use fogline_store::{DecisionFilter, DecisionsOf};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::app::App;
use crate::http::extract::{Caller, Params, PathId, page_request};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// How many.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Events, 1 to 200; 50 when nothing is said. The other view's history has all, in pages.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// The latest changes of a proxy's count, newest first.
#[utoipa::path(
    get, path = "/proxy/scaling/events/{proxyId}", operation_id = "proxyEvents", tag = "proxy scaling",
    params(("proxyId" = String, Path, description = "Id or name of a deployment, or the name of an outside proxy"), Query),
    responses((status = 200, description = "The events", body = Vec<ProxyEventResponse>), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Params(query): Params<Query>,
) -> ApiResult<Json<Vec<ProxyEventResponse>>> {
    let request = page_request(None, query.limit)?;
    let proxy = super::proxy(&app, &caller, &id).await?;
    let of = DecisionsOf::Target(proxy.target);
    let filter = DecisionFilter { of, changes_only: true, ..DecisionFilter::default() };
    let page = app.shared.store.decisions(&filter, &request).await?;
    Ok(Json(page.items.into_iter().map(|record| ProxyEventResponse::new(&id, record)).collect()))
}
