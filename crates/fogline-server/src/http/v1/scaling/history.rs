//! `GET /api/v1/scaling/history`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{Page, ScalingHistoryEntry};
use fogline_core::time::Timestamp;
use fogline_store::{DecisionFilter, DecisionsOf};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::app::App;
use crate::http::extract::{Caller, Params, page_request, visible_policy, visible_target};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ReadProblems;

/// Which changes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Only those of this policy, by id or by the caller's own name for it.
    pub policy: Option<String>,
    /// Only those of this target: `deployment:<id or name>`, or `<target_type>:<target_id>`.
    pub target: Option<String>,
    /// Only those that were kept from being carried out, or only those that were not.
    pub dry_run: Option<bool>,
    /// Only those of this moment or later.
    pub from: Option<Timestamp>,
    /// `next` of the page before; none for the first page.
    pub cursor: Option<String>,
    /// Rows on the page, 1 to 200; 50 when nothing is said.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// Every change of a count that the caller may see, newest first: by policies, by people and by schedules; those that a
/// dry run or a shadow would have made are marked.
#[utoipa::path(
    get, path = "/api/v1/scaling/history", operation_id = "listScalingHistory", tag = "scaling",
    params(Query),
    responses((status = 200, description = "A page of changes", body = Page<ScalingHistoryEntry>), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<Query>,
) -> ApiResult<Json<Page<ScalingHistoryEntry>>> {
    let request = page_request(query.cursor, query.limit)?;
    let of = match (query.policy, query.target, caller.sees()) {
        (Some(_), Some(_), _) => {
            return Err(ApiError::field("target", "is there beside `policy`", "one of the two"));
        }
        (Some(policy), None, _) => DecisionsOf::Policy(visible_policy(&app, &caller, &policy).await?.id),
        (None, Some(target), _) => DecisionsOf::Target(visible_target(&app, &caller, &target).await?),
        (None, None, Some(user)) => DecisionsOf::VisibleTo(user),
        (None, None, None) => DecisionsOf::All,
    };
    let filter = DecisionFilter {
        of,
        changes_only: true,
        dry_run: query.dry_run,
        from: query.from,
        ..DecisionFilter::default()
    };
    let page = app.shared.store.decisions(&filter, &request).await?;
    Ok(Json(Page { items: page.items.into_iter().map(Into::into).collect(), next: page.next }))
}
