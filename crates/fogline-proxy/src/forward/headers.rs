//! Headers that are between two neighbours only, taken away in both directions (RFC 9110, 7.6.1).
//!
//! Must never take away what frames a message or names its host, even if `Connection` lists it. Tests: below.

use bytes::Bytes;
use hyper::body::Frame;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::forwarded;

/// No header that anybody means: replicas that hand headers on as variables of the environment take it for theirs.
const PROXY: HeaderName = HeaderName::from_static("proxy");

/// What a request asked of its neighbour, before it was taken away.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The protocol it would like to go over to.
    pub upgrade: Option<HeaderValue>,
    /// Whether it understands trailers.
    pub trailers: bool,
}

/// Takes away what was meant for this proxy alone.
pub(super) fn take_from_request(headers: &mut HeaderMap) -> Asked {
    // The proxy answers Expect itself, as soon as a replica is there to take the body.
    let is_ours = |name: &HeaderName| is_for_a_neighbour(name) || *name == header::EXPECT || *name == PROXY;
    let mut asked = Asked::default();
    if !headers.keys().any(is_ours) {
        return asked;
    }
    let listed = listed(headers);
    if listed.as_ref().is_some_and(|names| names.contains(&header::UPGRADE)) {
        // Never to HTTP/2: the two ends would talk past the proxy, which no longer sees requests.
        let wanted = headers.get(header::UPGRADE).cloned();
        asked.upgrade = wanted.filter(|wanted| {
            let mut protocols = wanted.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            !protocols.any(|protocol| protocol.to_ascii_lowercase().starts_with(b"h2"))
        });
    }
    asked.trailers = headers.get(header::TE).is_some_and(|te| mentions(te, "trailers"));
    take(headers, listed, is_ours);
    asked
}

/// Of several lines of cookies, as HTTP/2 has them, one: HTTP/1.1 knows no other (RFC 9113, 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    // Most often nothing at all is said twice.
    if headers.len() == headers.keys_len() || headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let lines: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

/// Takes away what was meant for this proxy alone.
pub(super) fn take_from_answer(headers: &mut HeaderMap) {
    if headers.keys().any(is_for_a_neighbour) {
        let listed = listed(headers);
        take(headers, listed, is_for_a_neighbour);
    }
}

/// Takes away what may not be said at the end that was not said at the beginning: what is between neighbours, what frames
/// or addresses a message, and who the client is.
pub(super) fn take_from_trailers(trailers: &mut HeaderMap) {
    let framing = [header::HOST, header::CONTENT_LENGTH, header::TRAILER, PROXY];
    take(trailers, None, |name| {
        forwarded::is_of_the_family(name) || framing.contains(name) || is_for_a_neighbour(name)
    });
}

/// Passes a part of a body on; of trailers, what may be said.
pub(super) fn passed_on(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            take_from_trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(data) => data,
    }
}

/// By its text, which is quicker to tell apart than to look up: every header of every message is asked.
fn is_for_a_neighbour(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "transfer-encoding"
            | "upgrade"
            | "te"
            | "proxy-authorization"
            | "keep-alive"
            | "proxy-connection"
            | "http2-settings"
    )
}

fn take(headers: &mut HeaderMap, listed: Option<Vec<HeaderName>>, is_ours: impl Fn(&HeaderName) -> bool) {
    let said: Vec<HeaderName> = headers.keys().filter(|name| is_ours(name)).cloned().collect();
    for name in said {
        headers.remove(name);
    }
    for name in listed.into_iter().flatten() {
        if name != header::HOST && name != header::CONTENT_LENGTH {
            headers.remove(name);
        }
    }
}

/// The headers that `Connection` lists, beside what it says itself.
fn listed(headers: &HeaderMap) -> Option<Vec<HeaderName>> {
    let mut names = None;
    for value in headers.get_all(header::CONNECTION) {
        let bytes = value.as_bytes();
        if bytes.eq_ignore_ascii_case(b"keep-alive") || bytes.eq_ignore_ascii_case(b"close") {
            continue;
        }
        let listed =
            bytes.split(|byte| *byte == b',').filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
        names.get_or_insert_with(Vec::new).extend(listed);
    }
    names
}

fn mentions(value: &HeaderValue, word: &str) -> bool {
    let mut words = value.as_bytes().split(|byte| matches!(byte, b',' | b';'));
    words.any(|found| found.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_is_between_neighbours_and_what_connection_lists_is_taken_away() {
        let mut map = headers(&[
            ("host", "a"),
            ("content-length", "3"),
            ("connection", "X-Secret, keep-alive, Host, Content-Length"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("te", "gzip, trailers;q=0.5"),
            ("expect", "100-continue"),
            ("proxy", "http://evil.example"),
            ("x-kept", "1"),
        ]);
        assert!(take_from_request(&mut map).trailers);
        let mut left: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "host", "x-kept"]);
    }

    #[test]
    fn trailers_say_nothing_that_only_a_head_may_say() {
        let mut map = headers(&[
            ("grpc-status", "0"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x_real_ip", "1.1.1.1"),
            ("forwarded", "for=1.1.1.1"),
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("host", "a"),
        ]);
        take_from_trailers(&mut map);
        assert_eq!(map.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["grpc-status"]);
    }

    #[test]
    fn lines_of_cookies_become_one() {
        let mut map = headers(&[("cookie", "a=1"), ("cookie", "b=2; c=3")]);
        join_cookies(&mut map);
        assert_eq!(map.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    }

    #[test]
    fn an_upgrade_is_asked_for_in_both_headers_and_never_to_http2() {
        let asked = |pairs: &[_]| take_from_request(&mut headers(pairs)).upgrade;
        assert_eq!(asked(&[("connection", "Upgrade"), ("upgrade", "websocket")]), Some("websocket".parse().unwrap()));
        assert_eq!(asked(&[("upgrade", "websocket")]), None);
        assert_eq!(asked(&[("connection", "upgrade, http2-settings"), ("upgrade", "h2c")]), None);
    }
}
