//! Which host a request is for: there is one answer, or none.

use crate::rig::raw;

use super::Field;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_names_no_host_or_two_is_refused() {
    let field = Field::new().await;
    let table = [
        ("no host", "GET /attack HTTP/1.1\r\n"),
        ("two hosts", "GET /attack HTTP/1.1\r\nHost: shop.example\r\nHost: other.example\r\n"),
        ("one host twice", "GET /attack HTTP/1.1\r\nHost: shop.example\r\nHost: shop.example\r\n"),
        ("two in one", "GET /attack HTTP/1.1\r\nHost: shop.example, other.example\r\n"),
        ("two by a blank", "GET /attack HTTP/1.1\r\nHost: shop.example other.example\r\n"),
        ("a user", "GET /attack HTTP/1.1\r\nHost: other.example@shop.example\r\n"),
        ("a path", "GET /attack HTTP/1.1\r\nHost: shop.example/other.example\r\n"),
        ("a query", "GET /attack HTTP/1.1\r\nHost: shop.example?x\r\n"),
        ("a backslash", "GET /attack HTTP/1.1\r\nHost: shop.example\\x\r\n"),
        ("a port that is none", "GET /attack HTTP/1.1\r\nHost: shop.example:http\r\n"),
        ("a port beyond ports", "GET /attack HTTP/1.1\r\nHost: shop.example:65536\r\n"),
        ("two ports", "GET /attack HTTP/1.1\r\nHost: shop.example:80:80\r\n"),
        ("an empty host", "GET /attack HTTP/1.1\r\nHost:\r\n"),
        ("only a port", "GET /attack HTTP/1.1\r\nHost: :80\r\n"),
        ("percent signs", "GET /attack HTTP/1.1\r\nHost: shop%2eexample\r\n"),
        ("letters that are not ASCII", "GET /attack HTTP/1.1\r\nHost: sh\u{f6}p.example\r\n"),
        ("a first line for another", "GET http://other.example/attack HTTP/1.1\r\nHost: shop.example\r\n"),
        ("a first line with a user", "GET http://x@shop.example/attack HTTP/1.1\r\nHost: other.example\r\n"),
        ("a first line without Host", "GET http://shop.example/attack HTTP/1.1\r\n"),
    ];
    for (what, head) in table {
        field.refuses(what, format!("{head}Connection: close\r\n\r\n").as_bytes(), 400).await;
    }
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_nobody_has_claimed_gets_to_nobody() {
    let field = Field::new().await;
    for host in
        ["attack.example", "example", "shop.example.attack.org", "127.0.0.1", "[::1]", "localhost", "xn--shop.example"]
    {
        assert_eq!(raw::get(field.http(), host, "/attack").await, 404, "{host}");
    }
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_host_in_other_spellings_is_the_same_and_the_replica_is_told_one() {
    let field = Field::new().await;
    for host in ["SHOP.Example", "shop.example.", "shop.example:8080"] {
        assert_eq!(raw::get(field.http(), host, "/").await, 200, "{host}");
    }
    let whole = "GET http://shop.example/whole HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n";
    assert_eq!(raw::write_and_read_to_end(field.http(), whole.as_bytes()).await.statuses(), [200]);
    for arrived in field.shop.arrived() {
        assert_eq!(arrived.header("host").len(), 1, "{arrived:?}");
    }
    let line = field.shop.arrived().pop().expect("arrived").head;
    assert!(line.starts_with("GET /whole HTTP/1.1\r\n"), "{line}");
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_says_for_itself_who_it_is_or_how_it_came() {
    let field = Field::new().await;
    let request = "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close, X-Real-IP, X-Forwarded-For\r\n\
                   X-Forwarded-For: attack\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: attack\r\n\
                   X-Forwarded-Proto: attack\r\nX-Forwarded-Port: attack\r\nX-Forwarded-Server: attack\r\nX-Real-IP: attack\r\n\
                   Forwarded: for=attack\r\nx_forwarded_for: attack\r\nX-Original-URL: /kept\r\n\r\n";
    assert_eq!(raw::write_and_read_to_end(field.http(), request.as_bytes()).await.statuses(), [200]);
    let arrived = field.shop.arrived().pop().expect("arrived");
    assert_eq!(arrived.header("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(arrived.header("x-real-ip"), ["127.0.0.1"]);
    assert_eq!(arrived.header("x-forwarded-proto"), ["http"]);
    assert_eq!(arrived.header("x-forwarded-host"), ["shop.example"]);
    assert_eq!(arrived.header("forwarded"), ["for=127.0.0.1;proto=http;host=\"shop.example\""]);
    field.ends_unharmed().await;
}
