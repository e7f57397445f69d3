//! Which scaling target a text means: `deployment:<id or name>`, `<type>:<id>` as one's own policy names it, or the whole
//! key of a target as policies show it.
//!
//! Invariant: something outside of this system is only a target while a policy is on it. So nobody makes up targets
//! without end, and what is not the caller's looks as if it were not there.

use fogline_core::Cluster;
use fogline_core::command::{Actor, Rejection};
use fogline_core::id::{UserId, canonical_id};
use fogline_core::record::ScalingTarget;

use super::Caller;
use crate::http::app::Http;
use crate::http::problem::{ApiError, ApiResult};

/// The target that `text` means to the actor.
///
/// # Errors
/// [`Rejection::NotFound`], also where it is not the actor's.
pub fn named_target(cluster: &Cluster, actor: &Actor, text: &str) -> Result<ScalingTarget, Rejection> {
    let missing = || Rejection::NotFound { kind: "scaling target", id: text.chars().take(120).collect() };
    let (target_type, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
    let whole = rest.and_then(|rest| rest.split_once(':')).and_then(|(owner, target_id)| {
        let owner = canonical_id::<UserId>(owner)?;
        Some(ScalingTarget::Outside { owner, target_type: target_type.to_owned(), target_id: target_id.to_owned() })
    });
    let target = match whole {
        Some(target) => target,
        None => cluster.resolve_target(actor, target_type, rest).map_err(|_| missing())?,
    };
    cluster.visible_target(actor, &target).map_err(|_| missing())?;
    let known = matches!(target, ScalingTarget::Deployment(_)) || cluster.policies_on(&target).next().is_some();
    if known { Ok(target) } else { Err(missing()) }
}

/// The same, for a whole request.
///
/// # Errors
/// 404, or when the writer cannot be asked.
pub async fn visible_target(app: &Http, caller: &Caller, text: &str) -> ApiResult<ScalingTarget> {
    // No name has any, and not every database takes them.
    if text.chars().any(char::is_control) {
        return Err(ApiError::not_found("scaling target", text));
    }
    let (actor, text) = (caller.actor(), text.to_owned());
    Ok(app.shared.writer.view(move |cluster, _| named_target(cluster, &actor, &text)).await??)
}
