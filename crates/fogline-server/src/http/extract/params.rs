//! Query parameters: known ones only, and which page of a list.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use fogline_store::PageRequest;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::http::App;
use crate::http::problem::{ApiError, ApiResult};

/// Rows of a page when nothing is said.
const DEFAULT_LIMIT: u32 = 50;
/// Rows of a page at most.
pub const MAX_LIMIT: u32 = 200;

/// A query string. Its struct refuses fields that it does not know.
#[derive(Debug)]
pub struct Params<T>(pub T);

/// The query of a list without filters.
#[derive(Clone, Default, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// `next` of the page before; none for the first page.
    pub cursor: Option<String>,
    /// Rows on the page, 1 to 200; 50 when nothing is said.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

impl Paging {
    /// As the store wants it.
    ///
    /// # Errors
    /// When the limit is out of range.
    pub fn request(self) -> ApiResult<PageRequest> {
        page_request(self.cursor, self.limit)
    }
}

/// A page as the store wants it, from the parameters of a list that has filters, too.
///
/// # Errors
/// When the limit is out of range.
pub fn page_request(cursor: Option<String>, limit: Option<u32>) -> ApiResult<PageRequest> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::field("limit", format!("{limit} is out of range"), format!("1 to {MAX_LIMIT}")));
    }
    Ok(PageRequest { limit, cursor })
}

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> ApiResult<Self> {
        let Query(value) = Query::<T>::try_from_uri(&parts.uri).map_err(|rejection| {
            let text = rejection.body_text();
            let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            ApiError::fields(fogline_api::http::ProblemKind::InvalidRequest, vec![super::field::query_error(text)])
        })?;
        Ok(Self(value))
    }
}
