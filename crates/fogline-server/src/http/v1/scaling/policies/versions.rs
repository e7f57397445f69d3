//! `GET /api/v1/scaling/policies/{id}/versions`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{Page, PolicyVersionResponse};
use fogline_core::record::PolicyVersionRecord;

use crate::http::app::App;
use crate::http::extract::{Caller, Paging, Params, PathId, visible_policy};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// What a scaling policy said, and since when, newest version first.
#[utoipa::path(
    get, path = "/api/v1/scaling/policies/{id}/versions", operation_id = "listPolicyVersions", tag = "scaling",
    params(("id" = String, Path, description = "The policy's id, or the caller's own name for it"), Paging),
    responses((status = 200, description = "A page of versions", body = Page<PolicyVersionResponse>), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Params(paging): Params<Paging>,
) -> ApiResult<Json<Page<PolicyVersionResponse>>> {
    let request = paging.request()?;
    let record = visible_policy(&app, &caller, &id).await?;
    let page = app.shared.store.policy_versions(record.id, &request).await?;
    Ok(Json(Page { items: page.items.into_iter().map(version).collect(), next: page.next }))
}

fn version(record: PolicyVersionRecord) -> PolicyVersionResponse {
    PolicyVersionResponse {
        policy_id: record.policy_id,
        version: record.version,
        spec: (*record.spec).clone(),
        created_at: record.created_at,
        created_by: record.created_by,
    }
}
