//! What the proxy answers in a replica's place: problem details (RFC 9457), and placeholders for browsers.
//!
//! Must never name an inner address: strangers read it. Tests: `tests/it/front`.

use bytes::Bytes;
use fogline_api::http::{PROBLEM_JSON, Problem};
use fogline_core::spec::PlaceholderSpec;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode};

use super::Stop;
use super::body::AnswerBody;
use crate::hold::Refusal;

/// A page that asks again by itself.
const WAITING_PAGE: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" \
content=\"2\"><meta name=\"viewport\" content=\"width=device-width\"><title>Starting</title><style>body{font:1rem/1.5 \
system-ui,sans-serif;display:grid;place-content:center;min-height:90vh;text-align:center}</style></head><body><h1>Starting\
</h1><p>This is being started. The page asks again by itself.</p></body></html>";

/// A problem with this status.
pub(crate) fn problem(status: StatusCode, detail: impl Into<String>) -> Response<AnswerBody> {
    retry_later(status, detail, None)
}

/// A refusal to wait: 503, and when to try again.
pub(super) fn refused(refusal: Refusal) -> Response<AnswerBody> {
    retry_later(StatusCode::SERVICE_UNAVAILABLE, refusal.reason, Some(refusal.retry_after_s))
}

/// Nobody has told the proxy yet where anything goes.
pub(super) fn no_table() -> Response<AnswerBody> {
    retry_later(StatusCode::SERVICE_UNAVAILABLE, "this proxy has not heard from a server yet", Some(1))
}

/// The proxy's own machine has no more connections to give.
pub(super) fn no_means() -> Stop {
    Box::new(retry_later(StatusCode::SERVICE_UNAVAILABLE, "this proxy can open no more connections now", Some(1)))
}

fn retry_later(status: StatusCode, detail: impl Into<String>, retry_after_s: Option<u64>) -> Response<AnswerBody> {
    let problem = Problem {
        kind: "about:blank".to_owned(),
        title: status.canonical_reason().unwrap_or("Error").to_owned(),
        status: status.as_u16(),
        detail: detail.into(),
        errors: Vec::new(),
        retry_after_s,
        request_id: None,
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut answer = whole(status, HeaderValue::from_static(PROBLEM_JSON), body.into());
    if let Some(seconds) = retry_after_s {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// Whether it is a browser that asks for a page.
pub(super) fn is_browser(method: &Method, headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    *method == Method::GET && accepts.is_some_and(|accept| accept.contains("text/html"))
}

/// The placeholder of a deployment that sleeps.
pub(super) fn placeholder(spec: &PlaceholderSpec) -> Response<AnswerBody> {
    let status = StatusCode::from_u16(spec.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let page = HeaderValue::from_static("text/html; charset=utf-8");
    let content_type = HeaderValue::from_str(&spec.content_type).unwrap_or(page);
    let body = spec.body.clone().map_or(Bytes::from_static(WAITING_PAGE.as_bytes()), Bytes::from);
    let mut answer = whole(status, content_type, body);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    answer
}

fn whole(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::whole(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
