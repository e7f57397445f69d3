//! `POST /api/v1/scaling/policies/{id}/evaluate`: the same code as a live evaluation, on live inputs. Changes nothing.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{EvaluationResponse, Problem};
use fogline_core::scaling::PolicySpec;

use crate::http::app::App;
use crate::http::extract::{Caller, OptionalBody, PathId, visible_policy};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ReadProblems;

/// What the policy's target would be decided to have at this moment, by all the policies on it. With a body, that spec
/// counts in the policy's place; viewers may not send one, others one at a time.
#[utoipa::path(
    post, path = "/api/v1/scaling/policies/{id}/evaluate", operation_id = "evaluatePolicy", tag = "scaling",
    params(("id" = String, Path, description = "The policy's id, or the caller's own name for it")),
    request_body(content = Option<PolicySpec>, description = "A draft, to be tried in the policy's place"),
    responses(
        (status = 200, description = "The decision that would be made", body = EvaluationResponse),
        (status = 403, description = "A viewer's draft", body = Problem, content_type = "application/problem+json"),
        ReadProblems,
    ),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    OptionalBody(draft): OptionalBody<PolicySpec>,
) -> ApiResult<Json<EvaluationResponse>> {
    let record = visible_policy(&app, &caller, &id).await?;
    // A draft has sources asked that its author may name freely.
    let turn = match &draft {
        Some(_) => {
            caller.must_write("trying a policy")?;
            Some(app.drafts.take(caller.user.id)?)
        }
        None => None,
    };
    let draft = match draft {
        Some(draft) => {
            if (&draft.target_type, &draft.target_id) != (&record.spec.target_type, &record.spec.target_id) {
                let message = "is another target than the policy's";
                return Err(ApiError::field("target_id", message, "the policy's own target_type and target_id"));
            }
            super::check_what_is_called(&app, &draft)?;
            super::checked(record.id, draft)?
        }
        // Of one that is not enabled it is asked what it would do if it were.
        None => super::checked(record.id, PolicySpec { enabled: true, ..(*record.spec).clone() })?,
    };
    let decision = app.scaler()?.evaluate(&record.target, Some(draft)).await?;
    drop(turn);
    Ok(Json(decision.into()))
}
