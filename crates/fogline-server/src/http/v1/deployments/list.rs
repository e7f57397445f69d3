//! `GET /api/v1/deployments`. The seeds' door answers with the same function.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{DeploymentSummary, Page};
use fogline_core::state::DeploymentStatus;
use fogline_store::DeploymentFilter;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::app::{App, Http};
use crate::http::extract::{Caller, Params, page_request};
use crate::http::present;
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// Which deployments.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Only those in this status.
    pub status: Option<DeploymentStatus>,
    /// Only the one of exactly this name; an administrator may see several.
    pub name: Option<String>,
    /// Deleted ones, too.
    pub include_deleted: Option<bool>,
    /// `next` of the page before; none for the first page.
    pub cursor: Option<String>,
    /// Rows on the page, 1 to 200; 50 when nothing is said.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// Lists the caller's deployments, oldest first; everybody's for an administrator.
#[utoipa::path(
    get, path = "/api/v1/deployments", operation_id = "listDeployments", tag = "deployments",
    params(Query),
    responses((status = 200, description = "A page of deployments", body = Page<DeploymentSummary>), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<Query>,
) -> ApiResult<Json<Page<DeploymentSummary>>> {
    list(&app, &caller, query).await.map(Json)
}

/// One page.
///
/// # Errors
/// When a parameter cannot be accepted.
pub async fn list(app: &Http, caller: &Caller, query: Query) -> ApiResult<Page<DeploymentSummary>> {
    let filter = filter(caller, &query);
    let page = app.shared.store.deployments(&filter, &page_request(query.cursor, query.limit)?).await?;
    Ok(Page { items: present::summaries(app, page.items).await?, next: page.next })
}

/// Which deployments the caller asks for, and may see.
pub fn filter(caller: &Caller, query: &Query) -> DeploymentFilter {
    DeploymentFilter {
        user: caller.sees(),
        include_deleted: query.include_deleted.unwrap_or(false) || query.status == Some(DeploymentStatus::Deleted),
        status: query.status,
        name: query.name.clone(),
    }
}
