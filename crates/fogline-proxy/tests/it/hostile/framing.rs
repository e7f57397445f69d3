//! Where one request ends and another begins: two readers must never disagree.

use crate::rig::raw;

use super::Field;

/// What would be a second request, if somebody took it for one.
const SMUGGLED: &str = "GET /attack HTTP/1.1\r\nHost: shop.example\r\nX-Attack: 1\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn framing_that_is_not_plain_is_refused() {
    let field = Field::new().await;
    let table = [
        ("several lengths", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        ("a list of lengths", "Content-Length: 5, 6\r\n"),
        ("a signed length", "Content-Length: +5\r\n"),
        ("a negative length", "Content-Length: -5\r\n"),
        ("a hexadecimal length", "Content-Length: 0x5\r\n"),
        ("a length with a blank inside", "Content-Length: 1 5\r\n"),
        ("an empty length", "Content-Length:\r\n"),
        ("a length beyond all numbers", "Content-Length: 99999999999999999999\r\n"),
        ("a blank before the colon of a length", "Content-Length : 5\r\n"),
        ("a blank before the colon", "Transfer-Encoding : chunked\r\n"),
        ("an unknown encoding", "Transfer-Encoding: xchunked\r\n"),
        ("a quoted encoding", "Transfer-Encoding: \"chunked\"\r\n"),
        ("chunked before another", "Transfer-Encoding: chunked, identity\r\n"),
        ("another before chunked", "Transfer-Encoding: gzip, chunked\r\n"),
        ("chunked twice", "Transfer-Encoding: chunked, chunked\r\n"),
        ("chunked on two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ("chunked, then another line", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        ("an encoding with a parameter", "Transfer-Encoding: chunked;q=1\r\n"),
        ("an encoding after a vertical tab", "Transfer-Encoding: \x0bchunked\r\n"),
        ("an encoding with a null", "Transfer-Encoding: chunked\0\r\n"),
        ("an encoding on a folded line", "Transfer-Encoding:\r\n chunked\r\n"),
        ("an encoding after a bare CR", "X: y\rTransfer-Encoding: chunked\r\n"),
    ];
    for (what, framing) in table {
        let request = format!("POST /attack HTTP/1.1\r\nHost: shop.example\r\n{framing}\r\n0\r\n\r\n{SMUGGLED}");
        field.refuses(what, request.as_bytes(), 400).await;
    }
    let old =
        format!("POST /attack HTTP/1.0\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}");
    field.refuses("chunks of an old client", old.as_bytes(), 400).await;
    field.ends_unharmed().await;
}

/// Of both, chunks count, the length is not passed on, and the connection ends: nothing after it is ever read as a request
/// (RFC 9112, 6.1).
#[tokio::test(flavor = "multi_thread")]
async fn a_length_beside_chunks_counts_for_nothing_and_ends_the_connection() {
    let field = Field::new().await;
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    let long = chunks.len() + SMUGGLED.len();
    for framing in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n".to_owned(),
        format!("Content-Length: {long}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: Chunked\r\nContent-Length: {long}\r\nContent-Length: 9\r\n"),
    ] {
        let request = format!("POST /plain HTTP/1.1\r\nHost: shop.example\r\n{framing}\r\n{chunks}{SMUGGLED}");
        let back = raw::write_and_read_to_end(field.http(), request.as_bytes()).await;
        assert_eq!(back.statuses(), [200], "{framing}: {}", back.text());
        let arrived = field.shop.arrived().pop().expect("one request");
        assert_eq!((arrived.body.as_slice(), arrived.whole), (&b"abc"[..], true), "{framing}");
        assert!(arrived.header("content-length").is_empty() || arrived.header("transfer-encoding").is_empty());
    }
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_broken_chunks_never_becomes_a_whole_one() {
    let field = Field::new().await;
    let bodies = [
        ("no size", "\r\nabc\r\n0\r\n\r\n"),
        ("a size that is none", "xyz\r\nabc\r\n0\r\n\r\n"),
        ("a negative size", "-3\r\nabc\r\n0\r\n\r\n"),
        ("a size with 0x", "0x3\r\nabc\r\n0\r\n\r\n"),
        ("a size beyond all numbers", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        ("a size that wraps around", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
        ("a line that ends in LF alone", "3\nabc\r\n0\r\n\r\n"),
        ("a chunk that is longer than it says", "3\r\nabcdef\r\n0\r\n\r\n"),
        ("a chunk without its end", "3\r\nabc0\r\n\r\n"),
        ("a blank before the size", " 3\r\nabc\r\n0\r\n\r\n"),
        ("a bare CR in an extension", "3;x=\ry\r\nabc\r\n0\r\n\r\n"),
        ("a trailer without a colon", "3\r\nabc\r\n0\r\nattack\r\n\r\n"),
    ];
    for (what, body) in bodies {
        let head = "POST /chunks HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n";
        let back = raw::write_and_read_to_end(field.http(), format!("{head}{body}{SMUGGLED}").as_bytes()).await;
        assert!(!back.statuses().contains(&200), "{what}: {}", back.text());
        assert!(back.statuses().len() <= 1, "{what}: {}", back.text());
    }
    assert!(field.shop.arrived().iter().all(|arrived| !arrived.whole), "{:?}", field.shop.arrived());
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_chunks_and_trailers_may_carry_besides_is_not_passed_on_as_headers() {
    let field = Field::new().await;
    let request = "POST /trailers HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
                   3;attack=\"1\"\r\nabc\r\n0\r\nHost: attack\r\nContent-Length: 9\r\nX-Forwarded-For: attack\r\n\r\n";
    let back = raw::write_and_read_to_end(field.http(), request.as_bytes()).await;
    assert_eq!(back.statuses(), [200], "{}", back.text());
    let arrived = field.shop.arrived().pop().expect("one request");
    assert_eq!(arrived.body, b"abc");
    field.ends_unharmed().await;
}
