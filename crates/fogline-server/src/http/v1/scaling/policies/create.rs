//! `POST /api/v1/scaling/policies`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use fogline_api::http::PolicyResponse;
use fogline_core::command::{Command, Outcome};
use fogline_core::scaling::PolicySpec;

use super::Tagged;
use crate::http::answer::{Changed, unexpected};
use crate::http::app::App;
use crate::http::extract::{Body, Caller};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;

/// Adds a scaling policy. What its target is, is found out now: a deployment of that id or name, or something outside.
#[utoipa::path(
    post, path = "/api/v1/scaling/policies", operation_id = "createPolicy", tag = "scaling",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe")),
    request_body = PolicySpec,
    responses((status = 201, description = "Added", body = PolicyResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    Body { value, key }: Body<PolicySpec>,
) -> ApiResult<Tagged<Changed<PolicyResponse>>> {
    super::check_what_is_called(&app, &value)?;
    let command = Command::CreatePolicy { spec: Arc::new(value) };
    let done = app.shared.writer.submit(caller.request(command, key)).await?;
    let Outcome::PolicyCreated { policy_id } = done.outcome else { return Err(unexpected(&done.outcome)) };
    let (tag, changed) = super::after_change(&app, policy_id, done.replayed).await?;
    let location = Some(format!("/api/v1/scaling/policies/{policy_id}"));
    Ok((tag, Changed { status: StatusCode::CREATED, location, ..changed }))
}
