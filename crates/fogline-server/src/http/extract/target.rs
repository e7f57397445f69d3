//! Which object a path means: an id, or a name of the caller's own.
//!
//! An id is only what is written as ids are, with its hyphens: 32 hexadecimal digits are a name like any other.
//!
//! Invariant: an object that is not the caller's is answered exactly as one that is not there.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use fogline_core::command::{IdempotencyKey, Outcome};
use fogline_core::id::{DeploymentId, UserId, canonical_id};
use fogline_core::record::{DeploymentRecord, UserRecord};
use fogline_core::state::DeploymentStatus;
use fogline_store::{DeploymentFilter, PageRequest};

use super::Caller;
use crate::http::App;
use crate::http::app::Http;
use crate::http::problem::{ApiError, ApiResult};

/// The `{id}` of a path, as it was sent.
#[derive(Debug)]
pub struct PathId(pub String);

/// The `{id}` and `{replica}` of a path, as they were sent.
#[derive(Debug)]
pub struct PathIds(pub String, pub String);

impl FromRequestParts<App> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let Path(id) = Path::<String>::from_request_parts(parts, app).await.map_err(|_| unreadable(parts))?;
        if id.chars().any(char::is_control) { Err(unreadable(parts)) } else { Ok(Self(id)) }
    }
}

impl FromRequestParts<App> for PathIds {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> ApiResult<Self> {
        let ids = Path::<(String, String)>::from_request_parts(parts, app).await;
        let Path((id, replica)) = ids.map_err(|_| unreadable(parts))?;
        let nameless = id.chars().chain(replica.chars()).any(char::is_control);
        if nameless { Err(unreadable(parts)) } else { Ok(Self(id, replica)) }
    }
}

/// No id or name is written in bytes that are no UTF-8, or has control characters.
fn unreadable(parts: &Parts) -> ApiError {
    ApiError::not_found("path", parts.uri.path())
}

/// The deployment that `id` means to the caller; deleted ones are not there.
///
/// # Errors
/// 404.
pub async fn visible_deployment(app: &App, caller: &Caller, id: &str) -> ApiResult<DeploymentRecord> {
    let not_found = || ApiError::not_found("deployment", id);
    if let Some(id) = canonical_id::<DeploymentId>(id) {
        let record = app.shared.store.deployment(id).await?.ok_or_else(not_found)?;
        let visible = caller.is_admin() || record.user_id == caller.user.id;
        return if visible && record.status != DeploymentStatus::Deleted { Ok(record) } else { Err(not_found()) };
    }
    let filter =
        DeploymentFilter { user: Some(caller.user.id), name: Some(id.to_owned()), ..DeploymentFilter::default() };
    let page = app.shared.store.deployments(&filter, &PageRequest::first(1)).await?;
    page.items.into_iter().next().ok_or_else(not_found)
}

/// The id of the deployment that a change is about. Whether the caller may see it is core's to say: an id is passed on
/// unseen, so that a repeated request finds its answer even when the deployment is gone.
///
/// # Errors
/// 404 for a name that the caller has no deployment of.
pub async fn deployment_to_change(
    app: &App,
    caller: &Caller,
    id: &str,
    key: Option<&IdempotencyKey>,
) -> ApiResult<DeploymentId> {
    if let Some(id) = canonical_id(id) {
        return Ok(id);
    }
    let missing = match visible_deployment(app, caller, id).await {
        Ok(record) => return Ok(record.id),
        Err(missing) => missing,
    };
    match answered_before(app, caller, key).await? {
        Some(Outcome::DeploymentDeleted { deployment_id }) => Ok(deployment_id),
        _ => Err(missing),
    }
}

/// What this very request was answered, should it be a repeated one: of a delete by name the name is gone, the answer is
/// not.
pub(super) async fn answered_before(
    app: &Http,
    caller: &Caller,
    key: Option<&IdempotencyKey>,
) -> ApiResult<Option<Outcome>> {
    let Some(key) = key else { return Ok(None) };
    let answers = app.shared.store.answered(&[(caller.user.id, key.key.as_str())]).await?;
    let same = answers.into_iter().find(|answer| answer.fingerprint == key.fingerprint);
    Ok(same.map(|answer| answer.outcome))
}

/// The user that `id` means, by id or by name. For administrators.
///
/// # Errors
/// 404.
pub async fn visible_user(app: &App, id: &str) -> ApiResult<UserRecord> {
    let found = match canonical_id::<UserId>(id) {
        Some(id) => app.shared.store.user(id).await?,
        None => app.shared.store.user_by_name(id).await?,
    };
    found.ok_or_else(|| ApiError::not_found("user", id))
}
