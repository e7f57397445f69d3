//! `GET /api/v1/auth/me`.

use axum::Json;
use fogline_api::http::MeResponse;

use crate::http::extract::Caller;
use crate::http::problem_docs::ReadProblems;

/// Says who the caller is.
#[utoipa::path(
    get, path = "/api/v1/auth/me", operation_id = "me", tag = "auth",
    responses((status = 200, description = "The caller", body = MeResponse), ReadProblems),
)]
pub async fn handler(caller: Caller) -> Json<MeResponse> {
    Json(MeResponse {
        id: caller.user.id,
        username: caller.user.username,
        role: caller.user.role,
        tier: caller.user.tier,
        session_id: caller.session_id,
    })
}
