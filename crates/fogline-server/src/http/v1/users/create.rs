//! `POST /api/v1/users`.

use axum::extract::State;
use axum::http::StatusCode;
use fogline_api::http::{CreateUserRequest, UserResponse};
use fogline_core::command::{Command, Outcome};
use fogline_core::spec::validate_username;

use crate::http::answer::{Changed, unexpected};
use crate::http::app::App;
use crate::http::extract::{Admin, Body};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ChangeProblems;
use crate::http::v1::auth::check_new_password;

/// Adds a user.
#[utoipa::path(
    post, path = "/api/v1/users", operation_id = "createUser", tag = "users",
    request_body = CreateUserRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe")),
    responses((status = 201, description = "Added", body = UserResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    Admin(caller): Admin,
    Body { value, key }: Body<CreateUserRequest>,
) -> ApiResult<Changed<UserResponse>> {
    // Before the password is hashed, which is dear; core checks it again.
    validate_username("username", &value.username)
        .map_err(|error| ApiError::fields(fogline_api::http::ProblemKind::InvalidRequest, vec![error]))?;
    check_new_password("password", &value.password)?;
    let password_hash = app.passwords.hash(value.password.into()).await?;
    let command = Command::CreateUser { username: value.username, password_hash, role: value.role, tier: value.tier };
    let done = app.shared.writer.submit(caller.request(command, key)).await?;
    let Outcome::UserCreated { user_id } = done.outcome else { return Err(unexpected(&done.outcome)) };
    let body = super::after_change(&app, user_id).await?;
    let location = Some(format!("/api/v1/users/{user_id}"));
    Ok(Changed { status: StatusCode::CREATED, body, location, replayed: done.replayed })
}
