//! `PATCH /api/v1/users/{id}`.

use axum::extract::State;
use fogline_api::http::{PatchUserRequest, UserResponse};
use fogline_core::command::{Command, Outcome};

use crate::http::answer::{Changed, unexpected};
use crate::http::app::App;
use crate::http::extract::{Admin, Body, PathId, visible_user};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;
use crate::http::v1::auth::check_new_password;

/// Changes what is there. A new password, a new role and `disabled` end the user's sessions.
#[utoipa::path(
    patch, path = "/api/v1/users/{id}", operation_id = "patchUser", tag = "users",
    params(
        ("id" = String, Path, description = "The user's id or name"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    request_body = PatchUserRequest,
    responses((status = 200, description = "The user as it is now", body = UserResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(id): PathId,
    Body { value, key }: Body<PatchUserRequest>,
) -> ApiResult<Changed<UserResponse>> {
    let user = visible_user(&app, &id).await?;
    let password_hash = match value.password {
        Some(password) => {
            check_new_password("password", &password)?;
            Some(app.passwords.hash(password.into()).await?)
        }
        None => None,
    };
    let command = Command::UpdateUser {
        user_id: user.id,
        password_hash,
        role: value.role,
        tier: value.tier,
        disabled: value.disabled,
    };
    let done = app.shared.writer.submit(caller.request(command, key)).await?;
    let Outcome::UserUpdated { user_id } = done.outcome else { return Err(unexpected(&done.outcome)) };
    Ok(Changed::ok(super::after_change(&app, user_id).await?, done.replayed))
}
