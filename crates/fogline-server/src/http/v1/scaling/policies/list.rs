//! `GET /api/v1/scaling/policies`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{Page, PolicyResponse};
use fogline_store::PolicyFilter;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::app::App;
use crate::http::extract::{Caller, Params, page_request, visible_target};
use crate::http::present;
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ReadProblems;

/// Which policies.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Only those of exactly this name; an administrator may see several.
    pub name: Option<String>,
    /// Only those on this target: `deployment:<id or name>`, or `<target_type>:<target_id>`.
    pub target: Option<String>,
    /// `next` of the page before; none for the first page.
    pub cursor: Option<String>,
    /// Rows on the page, 1 to 200; 50 when nothing is said.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// Lists the caller's scaling policies and those on the caller's deployments, oldest first; everybody's for an
/// administrator.
#[utoipa::path(
    get, path = "/api/v1/scaling/policies", operation_id = "listPolicies", tag = "scaling",
    params(Query),
    responses((status = 200, description = "A page of policies", body = Page<PolicyResponse>), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<Query>,
) -> ApiResult<Json<Page<PolicyResponse>>> {
    let request = page_request(query.cursor, query.limit)?;
    if query.name.as_ref().is_some_and(|name| name.chars().any(char::is_control)) {
        return Err(ApiError::field("name", "has control characters", "the name of a policy"));
    }
    let target = match query.target {
        Some(text) => Some(visible_target(&app, &caller, &text).await?),
        None => None,
    };
    let filter = PolicyFilter { visible_to: caller.sees(), name: query.name, target, ..PolicyFilter::default() };
    let page = app.shared.store.policies(&filter, &request).await?;
    Ok(Json(Page { items: present::policies(&app, page.items).await?, next: page.next }))
}
