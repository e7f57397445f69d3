//! Heads that are no heads.

use super::Field;

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_breaks_the_grammar_is_refused() {
    let field = Field::new().await;
    let table: &[(&str, &[u8])] = &[
        ("a folded header", b"GET /attack HTTP/1.1\r\nHost: shop.example\r\nX-A: 1\r\n attack\r\n\r\n"),
        ("a tab that folds", b"GET /attack HTTP/1.1\r\nHost: shop.example\r\nX-A: 1\r\n\tattack\r\n\r\n"),
        ("a blank before the first header", b"GET /attack HTTP/1.1\r\n Host: shop.example\r\n\r\n"),
        ("a null in a value", b"GET /attack HTTP/1.1\r\nHost: shop.example\r\nX-A: a\0b\r\n\r\n"),
        ("a null in a name", b"GET /attack HTTP/1.1\r\nHost: shop.example\r\nX\0A: b\r\n\r\n"),
        ("a bare CR in a value", b"GET /attack HTTP/1.1\r\nHost: shop.example\r\nX-A: a\rb\r\n\r\n"),
        ("a bare CR before the colon", b"GET /attack HTTP/1.1\r\nHost: shop.example\r\nX-A\r: b\r\n\r\n"),
        ("a control character", b"GET /attack HTTP/1.1\r\nHost: shop.example\r\nX-A: a\x08b\r\n\r\n"),
        ("a blank before the colon", b"GET /attack HTTP/1.1\r\nHost: shop.example\r\nX-A : b\r\n\r\n"),
        ("a blank in a name", b"GET /attack HTTP/1.1\r\nHost: shop.example\r\nX A: b\r\n\r\n"),
        ("no name", b"GET /attack HTTP/1.1\r\nHost: shop.example\r\n: b\r\n\r\n"),
        ("no colon", b"GET /attack HTTP/1.1\r\nHost: shop.example\r\nattack\r\n\r\n"),
        ("a blank in the path", b"GET /att ack HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
        ("a null in the path", b"GET /attack\0 HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
        ("a path without a slash", b"GET attack HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
        ("a fragment before a path", b"GET #/attack HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
        ("a method with a bracket", b"GE(T /attack HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
        ("no version", b"GET /attack\r\nHost: shop.example\r\n\r\n"),
        ("a version of the future", b"GET /attack HTTP/3.0\r\nHost: shop.example\r\n\r\n"),
        ("a version in small letters", b"GET /attack http/1.1\r\nHost: shop.example\r\n\r\n"),
        ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 attack\r\n\r\n"),
    ];
    for (what, bytes) in table {
        field.refuses(what, bytes, 400).await;
    }
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_is_refused() {
    let field = Field::new().await;
    let request = b"CONNECT other.example:80 HTTP/1.1\r\nHost: other.example:80\r\nConnection: close\r\n\r\n";
    field.refuses("a tunnel", request, 405).await;
    field.ends_unharmed().await;
}
