//! `/api/v1/scaling/policies`: everybody's own, those on one's own deployments, any for administrators.

pub mod create;
pub mod decisions;
pub mod delete;
pub mod evaluate;
pub mod get;
pub mod list;
pub mod patch;
pub mod pause;
pub mod replace;
pub mod resume;
pub mod schedule;
pub mod versions;

use std::sync::Arc;

use axum::http::HeaderName;
use fogline_api::http::{PolicyResponse, ProblemKind};
use fogline_core::id::PolicyId;
use fogline_core::scaling::{Policy, PolicySpec};
use fogline_core::spec::FieldError;

use crate::http::answer::Changed;
use crate::http::app::Http;
use crate::http::extract::entity_tag;
use crate::http::present;
use crate::http::problem::{ApiError, ApiResult};

/// A policy with the `ETag` of its version.
pub type Tagged<T> = ([(HeaderName, String); 1], T);

/// A policy after a change, as the answer to that.
async fn after_change(app: &Http, id: PolicyId, replayed: bool) -> ApiResult<Tagged<Changed<PolicyResponse>>> {
    let not_found = || ApiError::not_found("scaling policy", &id.to_string());
    let record = app.shared.store.policy(id).await?.ok_or_else(not_found)?;
    let body = present::policy(app, record).await?;
    Ok(tagged(body.version, Changed::ok(body, replayed)))
}

fn tagged<T>(version: u32, answer: T) -> Tagged<T> {
    (entity_tag(version), answer)
}

/// A policy that was checked, as if it had this id.
///
/// # Errors
/// The fields that cannot be accepted.
pub fn checked(id: PolicyId, spec: impl Into<Arc<PolicySpec>>) -> ApiResult<Policy> {
    Policy::new(id, spec).map_err(|errors| ApiError::fields(ProblemKind::InvalidRequest, errors))
}

/// Checks what core cannot: whether the policy's metric sources and its callback may be called from here.
///
/// # Errors
/// The fields that cannot be accepted.
pub fn check_what_is_called(app: &Http, spec: &PolicySpec) -> ApiResult<()> {
    let sources = &app.shared.sources;
    let mut faults: Vec<FieldError> = Vec::new();
    for (name, metric) in &spec.metrics {
        let fault = sources.check(metric).err();
        faults.extend(fault.map(|fault| FieldError { field: format!("metrics.{name}.{}", fault.field), ..fault }));
    }
    let called = spec.callback_url.as_deref().map(|url| sources.guard().check_url(url, &["http", "https"]));
    if let Some(Err(reason)) = called {
        faults.push(FieldError::new("callback_url", reason, "a URL with http:// or https:// of a public host"));
    }
    if faults.is_empty() { Ok(()) } else { Err(ApiError::fields(ProblemKind::InvalidRequest, faults)) }
}
