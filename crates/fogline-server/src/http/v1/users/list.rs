//! `GET /api/v1/users`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{Page, Problem, UserResponse};

use crate::http::app::App;
use crate::http::extract::{Admin, Paging, Params};
use crate::http::present;
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// Lists users by name.
#[utoipa::path(
    get, path = "/api/v1/users", operation_id = "listUsers", tag = "users",
    params(Paging),
    responses(
        (status = 200, description = "A page of users", body = Page<UserResponse>),
        (status = 403, description = "Needs the role admin", body = Problem, content_type = "application/problem+json"),
        ReadProblems,
    ),
)]
pub async fn handler(
    State(app): State<App>,
    Admin(_): Admin,
    Params(paging): Params<Paging>,
) -> ApiResult<Json<Page<UserResponse>>> {
    let page = app.shared.store.users(&paging.request()?).await?;
    Ok(Json(Page { items: page.items.into_iter().map(present::user).collect(), next: page.next }))
}
