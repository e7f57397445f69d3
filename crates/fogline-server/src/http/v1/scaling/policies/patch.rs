//! `PATCH /api/v1/scaling/policies/{id}`: a JSON merge patch (RFC 7396) of the spec.

use axum::extract::State;
use fogline_api::http::{PolicyResponse, ProblemKind};
use serde_json::{Map, Value};

use super::Tagged;
use super::replace::update;
use crate::http::answer::Changed;
use crate::http::app::App;
use crate::http::extract::{Body, Caller, IfMatch, PathId, visible_policy};
use crate::http::merge_patch;
use crate::http::problem::ApiResult;
use crate::http::problem_docs::ChangeProblems;

/// How often a patch is made anew because the policy has changed under it.
const TRIES: u32 = 5;

/// Changes the fields that are there. `null` gives a field its default; lists are replaced whole.
#[utoipa::path(
    patch, path = "/api/v1/scaling/policies/{id}", operation_id = "patchPolicy", tag = "scaling",
    params(
        ("id" = String, Path, description = "The policy's id, or the caller's own name for it"),
        ("If-Match" = Option<String>, Header, description = "Only if it still is this version, as the ETag has it"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    request_body(content = Object, description = "Any fields of a policy's spec"),
    responses((status = 200, description = "The policy as it is now", body = PolicyResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    if_match: IfMatch,
    Body { value, key }: Body<Map<String, Value>>,
) -> ApiResult<Tagged<Changed<PolicyResponse>>> {
    let mut tries = TRIES;
    loop {
        let record = visible_policy(&app, &caller, &id).await?;
        let spec = merge_patch::applied(&*record.spec, value.clone())?;
        let based_on = Some(if_match.0.unwrap_or(record.version));
        match update(&app, &caller, record.id, spec, based_on, key.clone()).await {
            // Somebody has changed another field: that change stays, and this one is made on top of it.
            Err(error)
                if error.problem().known_kind() == Some(ProblemKind::ChangedMeanwhile)
                    && if_match.0.is_none()
                    && tries > 1 =>
            {
                tries -= 1;
            }
            result => return if_match.explain(result),
        }
    }
}
