//! `POST /proxy/scaling/events/{eventId}/complete`.

use axum::extract::State;
use fogline_api::http::{CompleteEventRequest, ProxyEventResponse, ProxyEventStatus};
use fogline_core::command::{Command, Outcome};
use fogline_core::id::{DecisionId, canonical_id};
use fogline_core::record::DecisionRecord;
use fogline_core::scaling::decision::TargetRef;

use crate::http::answer::{Changed, unexpected};
use crate::http::app::App;
use crate::http::extract::{Body, Caller, PathId};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ChangeProblems;

/// Characters of a reason.
const MOST_WORDS: usize = 500;

/// Says what came of a scaling event that is pending: for whoever carries out what the callback asks for.
#[utoipa::path(
    post, path = "/proxy/scaling/events/{eventId}/complete", operation_id = "completeProxyEvent", tag = "proxy scaling",
    params(
        ("eventId" = String, Path, description = "The event's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    request_body = CompleteEventRequest,
    responses((status = 200, description = "The event as it is now", body = ProxyEventResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Body { value, key }: Body<CompleteEventRequest>,
) -> ApiResult<Changed<ProxyEventResponse>> {
    if id.trim().is_empty() {
        return Err(ApiError::field("eventId", "is missing", "the id of an event"));
    }
    let not_found = || ApiError::not_found("scaling event", &id);
    let decision_id: DecisionId = canonical_id(&id).ok_or_else(not_found)?;
    let error = match (value.status, value.error) {
        (ProxyEventStatus::Completed, None) => None,
        (ProxyEventStatus::Completed, Some(_)) => {
            return Err(ApiError::field("error", "is there, and the event is said to be completed", "none, or failed"));
        }
        (ProxyEventStatus::Failed, why) => Some(why.unwrap_or_else(|| "it failed; no reason was given".to_owned())),
    };
    if error.as_ref().is_some_and(|why| why.chars().count() > MOST_WORDS || why.chars().any(char::is_control)) {
        let accepted = format!("at most {MOST_WORDS} characters, none of them a control character");
        return Err(ApiError::field("error", "is too long, or has control characters", accepted));
    }
    let command = Command::CompleteDecision { decision_id, error };
    let done = app.shared.writer.submit(caller.request(command, key)).await?;
    let Outcome::DecisionCompleted { decision_id } = done.outcome else { return Err(unexpected(&done.outcome)) };
    let record = app.shared.store.decision(decision_id).await?.ok_or_else(not_found)?;
    let proxy_id = name_of(&record);
    Ok(Changed::ok(ProxyEventResponse::new(&proxy_id, record), done.replayed))
}

/// As its policy calls the proxy.
fn name_of(record: &DecisionRecord) -> String {
    let named = record.decision.target.as_ref().and_then(|target| target.target_id.clone());
    named.or_else(|| TargetRef::from(&record.target).target_id).unwrap_or_default()
}
