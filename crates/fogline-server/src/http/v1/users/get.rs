//! `GET /api/v1/users/{id}`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{Problem, UserResponse};

use crate::http::app::App;
use crate::http::extract::{Admin, PathId, visible_user};
use crate::http::present;
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ReadProblems;

/// One user.
#[utoipa::path(
    get, path = "/api/v1/users/{id}", operation_id = "getUser", tag = "users",
    params(("id" = String, Path, description = "The user's id or name")),
    responses(
        (status = 200, description = "The user", body = UserResponse),
        (status = 403, description = "Needs the role admin", body = Problem, content_type = "application/problem+json"),
        ReadProblems,
    ),
)]
pub async fn handler(State(app): State<App>, Admin(_): Admin, PathId(id): PathId) -> ApiResult<Json<UserResponse>> {
    Ok(Json(present::user(visible_user(&app, &id).await?)))
}
