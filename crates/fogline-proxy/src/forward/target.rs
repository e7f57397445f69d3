//! Which host a request is for, and whether its head can be trusted to mean one thing only.
//!
//! Must refuse whatever two readers could read differently: several hosts, a host that is none, framing that is not plain.
//! Tests: `tests/it/hostile`.

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode, Version};

use crate::router::normalised;

/// Why a request is refused before anybody looks where it goes.
pub(super) type Wrong = (StatusCode, &'static str);

const BAD: StatusCode = StatusCode::BAD_REQUEST;

/// The host as the request names it; empty for an old client that names none.
pub(super) fn host_of(request: &Request<Incoming>) -> Result<HeaderValue, Wrong> {
    if *request.method() == Method::CONNECT {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "this is no proxy that connections are tunnelled through"));
    }
    let headers = request.headers();
    let once = |name| (headers.len() == headers.keys_len()) || headers.get_all(name).iter().nth(1).is_none();
    let plain = |encoding: &HeaderValue| encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if !headers.get(header::TRANSFER_ENCODING).is_none_or(plain) || !once(header::TRANSFER_ENCODING) {
        return Err((BAD, "Transfer-Encoding may only be chunked, and said once"));
    }
    if !once(header::HOST) {
        return Err((BAD, "the request names more than one host"));
    }
    let host = headers.get(header::HOST);
    let authority = request.uri().authority();
    match (host, authority) {
        (Some(host), None) if !host.is_empty() => Ok(host.clone()),
        (None, Some(authority)) if request.version() >= Version::HTTP_2 => {
            HeaderValue::from_str(authority.as_str()).map_err(|_| (BAD, "the request names no host"))
        }
        (Some(host), Some(authority)) => {
            let named = host.to_str().ok().and_then(normalised);
            if named.is_none() || named != normalised(authority.as_str()) {
                return Err((BAD, "the request names one host in its first line and another in Host"));
            }
            Ok(host.clone())
        }
        (None, None) if request.version() == Version::HTTP_10 => Ok(HeaderValue::from_static("")),
        (_, _) => Err((BAD, "the request names no host")),
    }
}
