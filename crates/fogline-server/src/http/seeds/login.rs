//! `POST /api/auth/login`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{LoginRequest, Problem, TokenResponse};

use crate::http::app::App;
use crate::http::extract::{OpenBody, Remote};
use crate::http::problem::ApiResult;
use crate::http::v1::auth::login::login;

/// Trades name and password for tokens.
#[utoipa::path(
    post, path = "/api/auth/login", operation_id = "seedLogin", tag = "seeds",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "Tokens", body = TokenResponse),
        (status = 400, description = "A field cannot be accepted", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "Refused", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many refused logins", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub async fn handler(
    State(app): State<App>,
    remote: Remote,
    OpenBody(body): OpenBody<LoginRequest>,
) -> ApiResult<Json<TokenResponse>> {
    login(&app, remote, body).await.map(Json)
}
