//! `POST /proxy/scaling/evaluate/{proxyId}`. Changes nothing.

use axum::Json;
use axum::extract::State;
use fogline_api::http::ProxyEvaluationResponse;
use fogline_core::scaling::Decision;
use fogline_core::scaling::decision::Action;

use super::latest::LOAD_SCORE;
use crate::http::app::App;
use crate::http::extract::{Caller, NoBody, PathId};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ReadProblems;

/// Whether a proxy should be scaled at this moment: by its load, within its thresholds, cooldowns and bounds.
#[utoipa::path(
    post, path = "/proxy/scaling/evaluate/{proxyId}", operation_id = "evaluateProxy", tag = "proxy scaling",
    params(("proxyId" = String, Path, description = "Id or name of a deployment, or the name of an outside proxy")),
    responses((status = 200, description = "What would be done", body = ProxyEvaluationResponse), ReadProblems),
)]
pub async fn handler(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    _: NoBody,
) -> ApiResult<Json<ProxyEvaluationResponse>> {
    let proxy = super::proxy(&app, &caller, &id).await?;
    if proxy.policy.is_none() {
        return Err(ApiError::not_found("scaling policy of proxy", &id));
    }
    let decision = app.scaler()?.evaluate(&proxy.target, None).await?;
    Ok(Json(ProxyEvaluationResponse {
        proxy_id: id,
        should_scale: decision.action != Action::Hold,
        action: decision.action.into(),
        current_replicas: decision.current,
        recommended_replicas: decision.replicas,
        load_score: load_score(&decision),
        reason: decision.reason,
        evaluated_at: decision.at,
    }))
}

/// The score that a vote rests on.
fn load_score(decision: &Decision) -> Option<f64> {
    let parts = decision.votes.iter().flat_map(|vote| &vote.parts);
    parts.into_iter().find(|(name, _)| name == LOAD_SCORE).map(|(_, value)| *value)
}
