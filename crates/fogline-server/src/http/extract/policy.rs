//! Which policy a path means: an id, or a name of the caller's own.
//!
//! Invariant: as with deployments, what the caller may not see is answered exactly as what is not there. A policy on a
//! deployment is its owner's to see, whoever wrote it.

use fogline_core::command::{IdempotencyKey, Outcome};
use fogline_core::id::{PolicyId, canonical_id};
use fogline_core::record::{PolicyRecord, ScalingTarget};
use fogline_store::{PageRequest, PolicyFilter};

use super::Caller;
use super::target::answered_before;
use crate::http::app::Http;
use crate::http::problem::{ApiError, ApiResult};

/// The policy that `id` means to the caller: one on their deployment, one of their own on something outside, any for
/// administrators.
///
/// # Errors
/// 404.
pub async fn visible_policy(app: &Http, caller: &Caller, id: &str) -> ApiResult<PolicyRecord> {
    let not_found = || ApiError::not_found("scaling policy", id);
    if id.chars().any(char::is_control) {
        return Err(not_found());
    }
    let Some(id) = canonical_id::<PolicyId>(id) else {
        let (visible_to, name) = (caller.sees(), Some(id.to_owned()));
        let filter = PolicyFilter { visible_to, name, user: Some(caller.user.id), ..PolicyFilter::default() };
        let page = app.shared.store.policies(&filter, &PageRequest::first(1)).await?;
        return page.items.into_iter().next().ok_or_else(not_found);
    };
    let record = app.shared.store.policy(id).await?.ok_or_else(not_found)?;
    let theirs = caller.is_admin()
        || match record.target {
            ScalingTarget::Deployment(on) => {
                app.shared.store.deployment(on).await?.is_some_and(|on| on.user_id == caller.user.id)
            }
            ScalingTarget::Outside { .. } => record.user_id == caller.user.id,
        };
    if theirs { Ok(record) } else { Err(not_found()) }
}

/// The id of the policy that a change is about. Whether the caller may change it is core's to say: an id is passed on
/// unseen, so that a repeated request finds its answer even when the policy is gone.
///
/// # Errors
/// 404 for a name that the caller has no policy of.
pub async fn policy_to_change(
    app: &Http,
    caller: &Caller,
    id: &str,
    key: Option<&IdempotencyKey>,
) -> ApiResult<PolicyId> {
    if let Some(id) = canonical_id(id) {
        return Ok(id);
    }
    let missing = match visible_policy(app, caller, id).await {
        Ok(record) => return Ok(record.id),
        Err(missing) => missing,
    };
    match answered_before(app, caller, key).await? {
        Some(Outcome::PolicyDeleted { policy_id }) => Ok(policy_id),
        _ => Err(missing),
    }
}
