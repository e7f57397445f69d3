//! What only HTTP can do: redirects, compression, statuses, lengths.

use fogline_core::scaling::policy::{MetricSpec, SourceKind};
use fogline_source::Connection;

use crate::hostile::{Deed, Hostile};
use crate::setup::{Files, ask, connected, open, question, question_at, reason, value};

fn asking(server: &Hostile) -> MetricSpec {
    MetricSpec { pointer: Some("/n".to_owned()), ..question_at(SourceKind::HttpJson, server.url("http")) }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_no_credential_goes_there() {
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let elsewhere = Hostile::http("200 OK", &[], r#"{"n": 1, "status": "success"}"#);
        let location = format!("Location: {}/", elsewhere.url("http"));
        let server = Hostile::http(status, &[&location], "");
        let files = Files::new();
        for kind in [SourceKind::HttpJson, SourceKind::Prometheus] {
            let credentials = files.password(Some("me"), "canary-77");
            let connection = Connection { credentials, ..Connection::new(kind, server.url("http")) };
            let query = (kind == SourceKind::Prometheus).then(|| "up".to_owned());
            let answer = ask(&connected(connection), &MetricSpec { query, ..question(kind) }).await;
            assert!(reason(&answer).contains("not followed"), "{answer:?}");
            assert!(!reason(&answer).contains(&elsewhere.port().to_string()), "{answer:?}");
        }
        assert!(server.heard().to_lowercase().contains("authorization: basic "), "{}", server.heard());
        assert_eq!(elsewhere.connections(), 0);
    }
}

#[tokio::test]
async fn nothing_is_unpacked() {
    for encoding in ["gzip", "deflate", "br", "zstd", "x-gzip", "gzip, gzip", "GZIP"] {
        let server = Hostile::http("200 OK", &[&format!("Content-Encoding: {encoding}")], "{\"n\": 1}");
        let answer = ask(&open(), &asking(&server)).await;
        assert!(reason(&answer).contains("compressed"), "{encoding}: {answer:?}");
        assert!(!server.heard().to_lowercase().contains("accept-encoding"), "{}", server.heard());
    }
    let server = Hostile::http("200 OK", &["Content-Encoding: identity"], "{\"n\": 1}");
    assert_eq!(value(&ask(&open(), &asking(&server)).await), 1.0);
}

#[tokio::test]
async fn a_length_that_is_too_large_is_not_waited_for() {
    let server = Hostile::start(Deed::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n".to_vec()));
    assert!(reason(&ask(&open(), &asking(&server)).await).contains("larger than 1024 KiB"));
    // As much as is read, and one more.
    let document = |size: usize| format!("{{\"n\": 2, \"pad\": \"{}\"}}", "x".repeat(size - 19));
    let most = 1_024 * 1_024;
    assert_eq!(document(most).len(), most);
    let chunked = |body: &str| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        Hostile::start(Deed::Say(format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes()))
    };
    assert_eq!(value(&ask(&open(), &asking(&chunked(&document(most)))).await), 2.0);
    assert!(reason(&ask(&open(), &asking(&chunked(&document(most + 1)))).await).contains("larger than"));
}

#[tokio::test]
async fn large_answers_to_many_questions_are_all_read_in_the_end() {
    let body = format!("{{\"n\": 3, \"pad\": \"{}\"}}", "x".repeat(500_000));
    let server = Hostile::http("200 OK", &[], &body);
    let sources = open();
    let asked: Vec<_> = (0..80).map(|_| asking(&server)).collect();
    let answers = futures_util::future::join_all(asked.iter().map(|spec| ask(&sources, spec))).await;
    for answer in answers {
        assert_eq!(value(&answer), 3.0);
    }
}

#[tokio::test]
async fn a_status_is_told_and_the_body_of_a_stranger_is_not() {
    for status in
        ["400 Bad Request", "401 Unauthorized", "404 Not Found", "500 Internal Server Error", "204 No Content"]
    {
        let server = Hostile::http(status, &[], r#"{"n": 1, "error": "canary-body"}"#);
        let answer = ask(&open(), &asking(&server)).await;
        assert!(reason(&answer).starts_with("127.0.0.1: "), "{answer:?}");
        assert!(!reason(&answer).contains("canary"), "{answer:?}");
    }
}

#[tokio::test]
async fn numbers_beyond_all_numbers_are_errors() {
    for number in ["1e999", "-1e999", "\"NaN\"", "\"inf\"", "\"-Infinity\"", "\"1e999\""] {
        let server = Hostile::http("200 OK", &[], &format!("{{\"n\": {number}}}"));
        let answer = ask(&open(), &asking(&server)).await;
        assert!(!reason(&answer).is_empty(), "{number}");
    }
}
