//! `POST /proxy/scaling/policies/{proxyId}`: one policy a proxy, made or changed.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use fogline_api::http::{ProblemKind, ProxyPolicyRequest, ProxyPolicyResponse};
use fogline_core::command::{Command, IdempotencyKey, Outcome};
use fogline_core::record::PolicyRecord;
use fogline_core::scaling::PolicySpec;
use fogline_core::scaling::policy::{LoadScoreSpec, Span};

use super::{PROXY, in_camel_case};
use crate::Committed;
use crate::http::answer::{Changed, unexpected};
use crate::http::app::{App, Http};
use crate::http::extract::{Admin, Body, Caller, PathId};
use crate::http::problem::{ApiError, ApiResult};
use crate::http::problem_docs::ChangeProblems;
use crate::http::v1::scaling::policies::check_what_is_called;

/// How often a name is tried that others may have.
const TRIES: u32 = 20;

/// Makes or changes the scaling policy of a proxy: the oldest on it that has a load score, or else a new one. For
/// administrators. What is left out takes its default, but `enabled` and `dryRun` stay; so does what only the other view has
/// words for (rules, schedules, metrics).
#[utoipa::path(
    post, path = "/proxy/scaling/policies/{proxyId}", operation_id = "setProxyPolicy", tag = "proxy scaling",
    params(
        ("proxyId" = String, Path, description = "Id or name of a deployment, or any name of an outside proxy"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters; makes a retry safe"),
    ),
    request_body = ProxyPolicyRequest,
    responses(
        (status = 201, description = "Made", body = ProxyPolicyResponse),
        (status = 200, description = "Changed", body = ProxyPolicyResponse),
        ChangeProblems,
    ),
)]
pub async fn handler(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(id): PathId,
    Body { value, key }: Body<ProxyPolicyRequest>,
) -> ApiResult<Changed<ProxyPolicyResponse>> {
    set(&app, &caller, &id, value, key).await.map_err(in_camel_case)
}

async fn set(
    app: &Http,
    caller: &Caller,
    id: &str,
    request: ProxyPolicyRequest,
    key: Option<IdempotencyKey>,
) -> ApiResult<Changed<ProxyPolicyResponse>> {
    // One without a load score says what this view has no words for, so it is left alone.
    let there = super::meant(app, caller, id).await?.policy.filter(|there| there.spec.load_score.is_some());
    let done = match there {
        Some(there) => change(app, caller, &there, request, key).await?,
        None => create(app, caller, id, request, key).await?,
    };
    // A request that is repeated finds the policy that it has made, and its own answer all the same.
    let (policy_id, status) = match done.outcome {
        Outcome::PolicyCreated { policy_id } => (policy_id, StatusCode::CREATED),
        Outcome::PolicyUpdated { policy_id, .. } => (policy_id, StatusCode::OK),
        other => return Err(unexpected(&other)),
    };
    let gone = || ApiError::not_found("scaling policy of proxy", id);
    let record = app.shared.store.policy(policy_id).await?.ok_or_else(gone)?;
    let location = (status == StatusCode::CREATED).then(|| format!("/api/v1/scaling/policies/{policy_id}"));
    Ok(Changed { status, body: super::policy::shown(id, record), location, replayed: done.replayed })
}

async fn change(
    app: &Http,
    caller: &Caller,
    there: &PolicyRecord,
    request: ProxyPolicyRequest,
    key: Option<IdempotencyKey>,
) -> ApiResult<Committed> {
    let spec = Arc::new(with(&there.spec, request));
    check_what_is_called(app, &spec)?;
    let command = Command::UpdatePolicy { policy_id: there.id, spec, based_on: Some(there.version) };
    Ok(app.shared.writer.submit(caller.request(command, key)).await?)
}

async fn create(
    app: &Http,
    caller: &Caller,
    id: &str,
    request: ProxyPolicyRequest,
    key: Option<IdempotencyKey>,
) -> ApiResult<Committed> {
    let spec = with(&PolicySpec { target_id: Some(id.to_owned()), ..PolicySpec::new("", PROXY) }, request);
    check_what_is_called(app, &spec)?;
    for number in 1..=TRIES {
        let spec = Arc::new(PolicySpec { name: name(id, number), ..spec.clone() });
        let done = app.shared.writer.submit(caller.request(Command::CreatePolicy { spec }, key.clone())).await;
        let done = done.map_err(ApiError::from);
        match done {
            Err(error) if error.problem().known_kind() == Some(ProblemKind::NameTaken) && number < TRIES => {}
            done => return done,
        }
    }
    unreachable!("the last try is answered")
}

/// A name that policies may have, made of the proxy's.
fn name(id: &str, number: u32) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let plain: String = id.chars().map(fits).take(80).collect();
    if number == 1 { format!("proxy-{plain}") } else { format!("proxy-{plain}-{number}") }
}

/// What `spec` says, but for what this view has words for.
fn with(spec: &PolicySpec, request: ProxyPolicyRequest) -> PolicySpec {
    let score = spec.load_score.clone().unwrap_or_default();
    PolicySpec {
        min_replicas: request.min_replicas,
        max_replicas: request.max_replicas,
        cooldown_seconds: None,
        scale_up_cooldown: Some(Span::seconds(request.scale_up_cooldown_seconds)),
        scale_down_cooldown: Some(Span::seconds(request.scale_down_cooldown_seconds)),
        scale_to_zero: request.scale_to_zero,
        enabled: request.enabled.unwrap_or(spec.enabled),
        dry_run: request.dry_run.unwrap_or(spec.dry_run),
        callback_url: request.callback_url,
        load_score: Some(LoadScoreSpec {
            scale_up_threshold: request.scale_up_threshold,
            scale_down_threshold: request.scale_down_threshold,
            target_cpu_percent: request.target_cpu_percent,
            target_memory_percent: request.target_memory_percent,
            target_request_rate: request.target_request_rate,
            aggressiveness: request.aggressiveness,
            ..score
        }),
        ..spec.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_what_names_may_have() {
        assert_eq!(name("edge-1", 1), "proxy-edge-1");
        assert_eq!(name("edge 1/eu:größe", 2), "proxy-edge-1-eu-gr--e-2");
        assert!(name(&"x".repeat(200), 20).len() <= 100);
    }
}
