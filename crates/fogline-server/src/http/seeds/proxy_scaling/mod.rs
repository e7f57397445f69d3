//! `/proxy/scaling`: the proxy seed's view of the same policies, samples and decisions, in its shapes.
//!
//! `{proxyId}` is the id or name of a deployment, or any other name, which the first policy on it makes an outside proxy.
//! Policies are for administrators; all else is also for the owner of the deployment. Nothing is decided here.

pub mod complete;
pub mod evaluate;
pub mod events;
pub mod execute;
pub mod latest;
pub mod policy;
pub mod record;
pub mod set_policy;
pub mod summary;

use fogline_core::Cluster;
use fogline_core::command::{Actor, Rejection};
use fogline_core::record::{PolicyRecord, ScalingTarget};

use crate::http::app::Http;
use crate::http::extract::Caller;
use crate::http::problem::{ApiError, ApiResult};

/// As policies call it.
const PROXY: &str = "proxy";

/// A proxy that the caller may see.
struct Proxy {
    target: ScalingTarget,
    /// The policy that this view shows: the oldest with a load score on the target, or else the oldest.
    policy: Option<PolicyRecord>,
}

impl Proxy {
    /// Requests a second that count as 100 %.
    fn target_request_rate(&self) -> f64 {
        let spec = self.policy.as_ref().and_then(|policy| policy.spec.load_score.clone());
        spec.unwrap_or_default().target_request_rate
    }
}

/// The proxy that `id` means to the caller. Something outside is only there while a policy is on it.
///
/// # Errors
/// 400 for no id at all, 404 for none of the caller's.
async fn proxy(app: &Http, caller: &Caller, id: &str) -> ApiResult<Proxy> {
    let proxy = meant(app, caller, id).await?;
    match &proxy {
        Proxy { target: ScalingTarget::Outside { .. }, policy: None } => Err(ApiError::not_found("proxy", id)),
        _ => Ok(proxy),
    }
}

/// The same, or what a first policy would make one.
///
/// # Errors
/// 400 for no id at all, or a name that several users' deployments have.
async fn meant(app: &Http, caller: &Caller, id: &str) -> ApiResult<Proxy> {
    if id.trim().is_empty() || id.chars().any(char::is_control) || id.chars().count() > 200 {
        let accepted = "id or name of a deployment, or the name of an outside proxy, 1 to 200 characters";
        return Err(ApiError::field("proxyId", "is missing, or no name", accepted));
    }
    let (actor, text) = (caller.actor(), id.to_owned());
    let found = app.shared.writer.view(move |cluster, _| find(cluster, &actor, &text)).await?;
    found.map_err(|rejection| match rejection {
        Rejection::Invalid(errors) => {
            let errors = errors.into_iter().map(|mut error| {
                "proxyId".clone_into(&mut error.field);
                error
            });
            ApiError::fields(fogline_api::http::ProblemKind::InvalidRequest, errors.collect())
        }
        other => other.into(),
    })
}

fn find(cluster: &Cluster, actor: &Actor, id: &str) -> Result<Proxy, Rejection> {
    let own = cluster.resolve_target(actor, PROXY, Some(id))?;
    let shown = |target: &ScalingTarget| {
        let scored = cluster.policies_on(target).find(|policy| policy.spec.load_score.is_some());
        scored.or_else(|| cluster.policies_on(target).next()).cloned()
    };
    let policy = shown(&own);
    if policy.is_some() || !actor.is_admin() || matches!(own, ScalingTarget::Deployment(_)) {
        return Ok(Proxy { target: own, policy });
    }
    // Administrators look after each other's proxies: the one that was registered first is meant.
    let named = |policy: &&PolicyRecord| {
        matches!(&policy.target, ScalingTarget::Outside { target_type, target_id, .. }
            if target_type == PROXY && target_id == id)
    };
    let first = cluster.policies().filter(named).min_by_key(|policy| policy.id).map(|policy| policy.target.clone());
    let target = first.unwrap_or(own);
    let policy = shown(&target);
    Ok(Proxy { target, policy })
}

/// The fields that core finds at fault, under the names that this view has for them. Its words are left alone:
/// they may hold a name that somebody has given.
fn in_camel_case(error: ApiError) -> ApiError {
    const NAMES: [(&str, &str); 13] = [
        ("min_replicas", "minReplicas"),
        ("max_replicas", "maxReplicas"),
        ("load_score.target_cpu_percent", "targetCpuPercent"),
        ("load_score.target_memory_percent", "targetMemoryPercent"),
        ("load_score.target_request_rate", "targetRequestRate"),
        ("load_score.scale_up_threshold", "scaleUpThreshold"),
        ("load_score.scale_down_threshold", "scaleDownThreshold"),
        ("scale_up_cooldown", "scaleUpCooldownSeconds"),
        ("scale_down_cooldown", "scaleDownCooldownSeconds"),
        ("scale_to_zero", "scaleToZero"),
        ("callback_url", "callbackUrl"),
        ("target_id", "proxyId"),
        ("replicas", "newReplicaCount"),
    ];
    let Some(kind) = error.problem().known_kind().filter(|_| !error.problem().errors.is_empty()) else { return error };
    let mut errors = error.problem().errors.clone();
    for error in &mut errors {
        if let Some((_, camel)) = NAMES.iter().find(|(snake, _)| error.field == *snake) {
            (*camel).clone_into(&mut error.field);
        }
    }
    ApiError::fields(kind, errors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_core::spec::FieldError;

    #[test]
    fn fields_have_this_views_names_in_errors_too() {
        let errors = vec![
            FieldError::new("max_replicas", "1 is below the minimum, which is 5", "at least the minimum"),
            FieldError::new("load_score.target_cpu_percent", "150 is out of range", "percent"),
            FieldError::new("replicas", "9 is outside the bounds of the scaling policy replicas", "1 to 5"),
        ];
        let error = in_camel_case(ApiError::fields(fogline_api::http::ProblemKind::InvalidRequest, errors));
        let found: Vec<_> = error.problem().errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "maxReplicas: 1 is below the minimum, which is 5; accepted: at least the minimum",
                "targetCpuPercent: 150 is out of range; accepted: percent",
                "newReplicaCount: 9 is outside the bounds of the scaling policy replicas; accepted: 1 to 5",
            ]
        );
    }
}
