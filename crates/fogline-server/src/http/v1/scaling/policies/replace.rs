//! `PUT /api/v1/scaling/policies/{id}`.

use std::sync::Arc;

use axum::extract::State;
use fogline_api::http::PolicyResponse;
use fogline_core::command::{Command, IdempotencyKey, Outcome};
use fogline_core::id::PolicyId;
use fogline_core::scaling::PolicySpec;

use super::Tagged;
use crate::http::answer::{Changed, unexpected};
use crate::http::app::{App, Http};
use crate::http::extract::{Body, Caller, IfMatch, PathId, policy_to_change};
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;

/// Gives a scaling policy a whole new spec. What is left out takes its default. What it said before stays as a version.
#[utoipa::path(
    put, path = "/api/v1/scaling/policies/{id}", operation_id = "replacePolicy", tag = "scaling",
    params(
        ("id" = String, Path, description = "The policy's id, or the caller's own name for it"),
        ("If-Match" = Option<String>, Header, description = "Only if it still is this version, as the ETag has it"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    request_body = PolicySpec,
    responses((status = 200, description = "The policy as it is now", body = PolicyResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    if_match: IfMatch,
    Body { value, key }: Body<PolicySpec>,
) -> ApiResult<Tagged<Changed<PolicyResponse>>> {
    let id = policy_to_change(&app, &caller, &id, key.as_ref()).await?;
    if_match.explain(update(&app, &caller, id, value, if_match.0, key).await)
}

/// Gives a policy a new spec, made from version `based_on` where that matters.
///
/// # Errors
/// When a field cannot be accepted, the policy is not the caller's to change, or there is a newer version.
pub async fn update(
    app: &Http,
    caller: &Caller,
    policy_id: PolicyId,
    spec: PolicySpec,
    based_on: Option<u32>,
    key: Option<IdempotencyKey>,
) -> ApiResult<Tagged<Changed<PolicyResponse>>> {
    super::check_what_is_called(app, &spec)?;
    let command = Command::UpdatePolicy { policy_id, spec: Arc::new(spec), based_on };
    let done = app.shared.writer.submit(caller.request(command, key)).await?;
    let Outcome::PolicyUpdated { policy_id, .. } = done.outcome else { return Err(unexpected(&done.outcome)) };
    super::after_change(app, policy_id, done.replayed).await
}
