//! `/api/v1/users`: for administrators.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod patch;

use fogline_api::http::UserResponse;
use fogline_core::id::UserId;

use crate::http::app::Http;
use crate::http::present;
use crate::http::problem::{ApiError, ApiResult};

/// A user after a change.
async fn after_change(app: &Http, id: UserId) -> ApiResult<UserResponse> {
    let record = app.shared.store.user(id).await?.ok_or_else(|| ApiError::not_found("user", &id.to_string()))?;
    Ok(present::user(record))
}
