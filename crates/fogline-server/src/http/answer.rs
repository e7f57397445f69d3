//! The answer to a change.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fogline_core::command::Outcome;
use serde::Serialize;

use super::problem::ApiError;

/// Says that an answer is that of an earlier request with the same idempotency key.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What a change came to.
#[derive(Debug)]
pub struct Changed<T> {
    /// 200, 201 or 202.
    pub status: StatusCode,
    /// What it says.
    pub body: T,
    /// Where the object is, when it is new.
    pub location: Option<String>,
    /// Whether an earlier request with the same key did it.
    pub replayed: bool,
}

impl<T> Changed<T> {
    /// A plain success.
    pub const fn ok(body: T, replayed: bool) -> Self {
        Self { status: StatusCode::OK, body, location: None, replayed }
    }

    /// Accepted; what follows happens later.
    pub const fn accepted(body: T, replayed: bool) -> Self {
        Self { status: StatusCode::ACCEPTED, body, location: None, replayed }
    }
}

impl<T: Serialize> IntoResponse for Changed<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if let Some(location) = self.location.and_then(|at| HeaderValue::from_str(&at).ok()) {
            headers.insert(header::LOCATION, location);
        }
        if self.replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// A change of which there is nothing to say but that it is done: 204.
#[derive(Debug)]
pub struct Gone {
    /// Whether an earlier request with the same key did it.
    pub replayed: bool,
}

impl IntoResponse for Gone {
    fn into_response(self) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        if self.replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// Core answered a command with another command's outcome.
pub fn unexpected(outcome: &Outcome) -> ApiError {
    ApiError::internal("an outcome that belongs to another command", &format!("{outcome:?}"))
}
