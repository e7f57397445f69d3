//! `GET /api/v1/audit`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{AuditEntry, Page, Problem};

use crate::http::app::App;
use crate::http::extract::{Admin, Paging, Params};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// Lists who did what, newest first.
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "listAudit", tag = "audit",
    params(Paging),
    responses(
        (status = 200, description = "A page of the audit log", body = Page<AuditEntry>),
        (status = 403, description = "Needs the role admin", body = Problem, content_type = "application/problem+json"),
        ReadProblems,
    ),
)]
pub async fn handler(
    State(app): State<App>,
    Admin(_): Admin,
    Params(paging): Params<Paging>,
) -> ApiResult<Json<Page<AuditEntry>>> {
    let page = app.shared.store.audit(&paging.request()?).await?;
    let entry = |row: fogline_store::AuditEntry| AuditEntry {
        id: row.id,
        at: row.at,
        actor: row.actor,
        actor_name: row.actor_name,
        action: row.action,
        object: row.object,
        outcome: row.outcome,
        remote: row.remote,
        detail: row.detail,
    };
    Ok(Json(Page { items: page.items.into_iter().map(entry).collect(), next: page.next }))
}
