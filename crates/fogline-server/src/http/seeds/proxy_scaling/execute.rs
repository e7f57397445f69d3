//! `POST /proxy/scaling/execute/{proxyId}`.

use axum::extract::State;
use fogline_api::http::{ExecuteScalingRequest, ProxyEventResponse};
use fogline_core::command::{ByHand, Command, Outcome, Rejection};
use fogline_core::scaling::inputs::Trigger;

use super::in_camel_case;
use crate::http::answer::{Changed, unexpected};
use crate::http::app::App;
use crate::http::extract::{Body, Caller, PathId};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ChangeProblems;

/// Sets the count of a proxy. It holds until the policy's cooldown ends. The event is pending until whoever carries it out
/// has said what came of it; a deployment has the count at once.
#[utoipa::path(
    post, path = "/proxy/scaling/execute/{proxyId}", operation_id = "executeProxyScaling", tag = "proxy scaling",
    params(
        ("proxyId" = String, Path, description = "Id or name of a deployment, or the name of an outside proxy"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    request_body = ExecuteScalingRequest,
    responses((status = 202, description = "Accepted", body = ProxyEventResponse), ChangeProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Body { value, key }: Body<ExecuteScalingRequest>,
) -> ApiResult<Changed<ProxyEventResponse>> {
    let proxy = super::proxy(&app, &caller, &id).await?;
    let trigger = value.triggered_by.as_deref().map(|word| trigger(word, &caller)).transpose()?;
    let reason = value.reason.filter(|reason| !reason.is_empty());
    let count = ByHand { replicas: value.new_replica_count, reason, until: None, trigger };
    let command = Command::ScaleTarget { target: proxy.target, count };
    let done = app.shared.writer.submit(caller.request(command, key)).await;
    let done = done.map_err(|error| in_camel_case(error.into()))?;
    let Outcome::Decided { decision_id: Some(event_id), .. } = done.outcome else {
        return Err(unexpected(&done.outcome));
    };
    let gone = || ApiError::not_found("scaling event", &event_id.to_string());
    let record = app.shared.store.decision(event_id).await?.ok_or_else(gone)?;
    Ok(Changed::accepted(ProxyEventResponse::new(&id, record), done.replayed))
}

/// Who is said to ask. It is a word in the record: what somebody may do is in their role. Only the engine decides by
/// itself, so a person who says `auto` is recorded as what they are.
fn trigger(word: &str, caller: &Caller) -> ApiResult<Trigger> {
    match word {
        "manual" => Ok(Trigger::Manual),
        "auto" if !caller.is_admin() => Ok(Trigger::Manual),
        "admin" | "auto" if caller.is_admin() => Ok(Trigger::Admin),
        "admin" => Err(Rejection::Forbidden { action: "scaling as an administrator", needed: "admin" }.into()),
        other => {
            let shown = crate::http::problem::shown(other);
            Err(ApiError::field("triggeredBy", format!("{shown:?} is not known"), "manual, admin or auto"))
        }
    }
}
