//! `GET /proxy/scaling/policies/{proxyId}`.

use axum::Json;
use axum::extract::State;
use fogline_api::http::{Problem, ProxyPolicyRequest, ProxyPolicyResponse};
use fogline_core::record::PolicyRecord;
use fogline_core::scaling::PolicySpec;

use crate::http::app::App;
use crate::http::extract::{Admin, PathId};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ReadProblems;

/// The scaling policy of a proxy. For administrators.
#[utoipa::path(
    get, path = "/proxy/scaling/policies/{proxyId}", operation_id = "proxyPolicy", tag = "proxy scaling",
    params(("proxyId" = String, Path, description = "Id or name of a deployment, or the name of an outside proxy")),
    responses(
        (status = 200, description = "The policy", body = ProxyPolicyResponse),
        (status = 403, description = "Needs the role admin", body = Problem, content_type = "application/problem+json"),
        ReadProblems,
    ),
)]
pub async fn handler(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(id): PathId,
) -> ApiResult<Json<ProxyPolicyResponse>> {
    let policy = super::proxy(&app, &caller, &id).await?.policy;
    let policy = policy.ok_or_else(|| ApiError::not_found("scaling policy of proxy", &id))?;
    Ok(Json(shown(&id, policy)))
}

/// As this view has it. What it has no words for is not shown.
pub(super) fn shown(proxy_id: &str, record: PolicyRecord) -> ProxyPolicyResponse {
    ProxyPolicyResponse {
        id: record.id,
        proxy_id: proxy_id.to_owned(),
        name: record.spec.name.clone(),
        policy: in_this_view(&record.spec),
        version: record.version,
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}

fn in_this_view(spec: &PolicySpec) -> ProxyPolicyRequest {
    let score = spec.load_score.clone().unwrap_or_default();
    ProxyPolicyRequest {
        min_replicas: spec.min_replicas,
        max_replicas: spec.max_replicas,
        target_cpu_percent: score.target_cpu_percent,
        target_memory_percent: score.target_memory_percent,
        target_request_rate: score.target_request_rate,
        scale_up_threshold: score.scale_up_threshold,
        scale_down_threshold: score.scale_down_threshold,
        scale_up_cooldown_seconds: spec.scale_up_cooldown().as_secs(),
        scale_down_cooldown_seconds: spec.scale_down_cooldown().as_secs(),
        aggressiveness: score.aggressiveness,
        scale_to_zero: spec.scale_to_zero,
        enabled: Some(spec.enabled),
        dry_run: Some(spec.dry_run),
        callback_url: spec.callback_url.clone(),
    }
}
