//! `POST /api/auth/login`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{LoginRequest, TokenResponse};

use crate::http::app::App;
use crate::http::extract::{OpenBody, Remote};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::LoginProblems;
use crate::http::v1::auth::login;

/// Trades name and password for tokens.
#[utoipa::path(
    post, path = "/api/auth/login", operation_id = "seedLogin", tag = "seeds",
    request_body = LoginRequest,
    responses((status = 200, description = "Tokens", body = TokenResponse), LoginProblems),
    security(()),
)]
pub async fn handler(app: State<App>, remote: Remote, body: OpenBody<LoginRequest>) -> ApiResult<Json<TokenResponse>> {
    login::handler(app, remote, body).await
}
