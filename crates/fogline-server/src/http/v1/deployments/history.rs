//! `GET /api/v1/deployments/{id}/history`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{HistoryEntry, Page};
use fogline_core::record::StatusHistoryRecord;

use crate::http::app::App;
use crate::http::extract::{Caller, Paging, Params, PathId, visible_deployment};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// Every change of a deployment's status, oldest first: from what, to what, by whom, when and why.
#[utoipa::path(
    get, path = "/api/v1/deployments/{id}/history", operation_id = "listHistory", tag = "deployments",
    params(("id" = String, Path, description = "The deployment's id, or the caller's own name for it"), Paging),
    responses((status = 200, description = "A page of the history", body = Page<HistoryEntry>), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Params(paging): Params<Paging>,
) -> ApiResult<Json<Page<HistoryEntry>>> {
    let request = paging.request()?;
    let record = visible_deployment(&app, &caller, &id).await?;
    let page = app.shared.store.history(record.id, &request).await?;
    Ok(Json(Page { items: page.items.into_iter().map(entry).collect(), next: page.next }))
}

fn entry(line: StatusHistoryRecord) -> HistoryEntry {
    HistoryEntry {
        id: line.id,
        deployment_id: line.deployment_id,
        seq: line.seq,
        old_status: line.old_status.to_owned(),
        new_status: line.new_status.to_owned(),
        changed_by: line.changed_by,
        changed_at: line.changed_at,
        reason: line.reason.into_owned(),
    }
}
