//! HTTP/2 by hand: frames that a library would not send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{DEADLINE, raw};

use super::Field;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Headers as literals that nobody is to remember, whatever is in them.
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("short"));
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

fn request(path: &str) -> Vec<(&str, &str)> {
    vec![(":method", "GET"), (":scheme", "http"), (":authority", "shop.example"), (":path", path)]
}

async fn connect(field: &Field) -> TcpStream {
    let mut stream = TcpStream::connect(field.http()).await.expect("connected");
    stream.write_all(PREFACE).await.expect("written");
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.expect("written");
    stream
}

/// What became of stream 1.
#[derive(PartialEq, Eq, Debug)]
enum Became {
    /// An answer, by the first byte of its headers: the status.
    Answered(u8),
    Reset,
    ConnectionEnded,
}

/// 200 in the static table.
const OK: u8 = 0x88;

async fn outcome(stream: &mut TcpStream) -> Became {
    let read = async {
        loop {
            let mut head = [0; 9];
            if stream.read_exact(&mut head).await.is_err() {
                return Became::ConnectionEnded;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).expect("small")];
            if stream.read_exact(&mut payload).await.is_err() {
                return Became::ConnectionEnded;
            }
            let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            match (head[3], number) {
                (HEADERS, 1) => return Became::Answered(payload[0]),
                (RST_STREAM, 1) => return Became::Reset,
                (GOAWAY, _) => return Became::ConnectionEnded,
                _ => {}
            }
        }
    };
    tokio::time::timeout(DEADLINE, read).await.expect("something becomes of it")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_keeps_to_the_rules_is_served() {
    let field = Field::new().await;
    let mut stream = connect(&field).await;
    let headers = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&request("/plain")));
    stream.write_all(&headers).await.expect("written");
    assert_eq!(outcome(&mut stream).await, Became::Answered(OK));
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_mean_something_else_in_http1_are_refused() {
    let field = Field::new().await;
    let with = |more: &[(&'static str, &'static str)]| [request("/attack"), more.to_vec()].concat();
    let without = |name: &str| request("/attack").into_iter().filter(|(found, _)| *found != name).collect::<Vec<_>>();
    let instead = |name: &'static str, value: &'static str| {
        request("/attack").into_iter().map(|pair| if pair.0 == name { (name, value) } else { pair }).collect::<Vec<_>>()
    };
    let table = [
        ("connection", with(&[("connection", "keep-alive")])),
        ("transfer-encoding", with(&[("transfer-encoding", "chunked")])),
        ("keep-alive", with(&[("keep-alive", "timeout=5")])),
        ("upgrade", with(&[("upgrade", "websocket")])),
        ("proxy-connection", with(&[("proxy-connection", "keep-alive")])),
        ("te with something else than trailers", with(&[("te", "gzip")])),
        ("a name with capitals", with(&[("X-Capital", "1")])),
        ("a name with a line break", with(&[("x\r\nattack", "1")])),
        ("a name with a colon", with(&[("x:attack", "1")])),
        ("a value with a line break", with(&[("x", "1\r\nattack: 1")])),
        ("a value with LF", with(&[("x", "1\nattack: 1")])),
        ("a value with a null", with(&[("x", "1\0")])),
        ("an unknown pseudo header", with(&[(":attack", "1")])),
        ("a pseudo header of answers", with(&[(":status", "200")])),
        ("a pseudo header after others", [vec![("x", "1")], request("/attack")].concat()),
        ("two paths", with(&[(":path", "/other")])),
        ("two hosts", with(&[(":authority", "other.example")])),
        ("another host", with(&[("host", "other.example")])),
        ("two more hosts", with(&[("host", "shop.example"), ("host", "shop.example")])),
        ("no method", without(":method")),
        ("no path", without(":path")),
        ("no host", without(":authority")),
        ("an empty path", instead(":path", "")),
        ("a path without a slash", instead(":path", "attack")),
        ("a path with a blank", instead(":path", "/attack HTTP/1.1")),
        ("a path with a line break", instead(":path", "/attack HTTP/1.1\r\nattack: 1")),
        ("a method with a blank", instead(":method", "GET /attack")),
        ("a host with a line break", instead(":authority", "shop.example\r\nattack: 1")),
        ("a host with a user", instead(":authority", "other.example@shop.example")),
        ("a host with a path", instead(":authority", "shop.example/attack")),
        ("a length that is none", with(&[("content-length", "x")])),
        ("two lengths", with(&[("content-length", "0"), ("content-length", "1")])),
    ];
    for (what, headers) in table {
        let mut stream = connect(&field).await;
        let headers = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&headers));
        stream.write_all(&headers).await.expect("written");
        let became = outcome(&mut stream).await;
        assert_ne!(became, Became::Answered(OK), "{what}");
    }
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_length_than_said_never_arrives_whole() {
    let field = Field::new().await;
    for (length, body) in [("0", "GET /attack HTTP/1.1\r\n\r\n"), ("3", "abcdef"), ("9", "abc")] {
        let mut stream = connect(&field).await;
        let mut headers = request("/body");
        headers[0].1 = "POST";
        headers.push(("content-length", length));
        stream.write_all(&frame(HEADERS, END_HEADERS, 1, &block(&headers))).await.expect("written");
        stream.write_all(&frame(DATA, END_STREAM, 1, body.as_bytes())).await.expect("written");
        assert_ne!(outcome(&mut stream).await, Became::Answered(OK), "{length}");
    }
    assert!(field.shop.arrived().iter().all(|arrived| !arrived.whole), "{:?}", field.shop.arrived());
    field.ends_unharmed().await;
}

/// Writes what `next` makes until the proxy cuts the connection.
async fn flood(mut stream: TcpStream, mut next: impl FnMut(u32) -> Vec<u8>) {
    let (mut read, mut write) = stream.split();
    let mut number = 0;
    let writes = async {
        loop {
            let mut many = Vec::new();
            for _ in 0..100 {
                many.extend(next(number));
                number += 1;
            }
            if write.write_all(&many).await.is_err() {
                return;
            }
        }
    };
    let both = async {
        tokio::select! {
            () = writes => {}
            _ = raw::read_to_end(&mut read) => {}
        }
    };
    tokio::time::timeout(DEADLINE, both).await.expect("the connection is cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_opened_and_reset_at_once_end_the_connection() {
    let field = Field::new().await;
    let stream = connect(&field).await;
    let headers = block(&request("/reset"));
    let reset = |number: u32| {
        let stream = 2 * number + 1;
        let mut frames = frame(HEADERS, END_STREAM | END_HEADERS, stream, &headers);
        frames.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        frames
    };
    let ((), ()) = tokio::join!(flood(stream, reset), field.others_are_served());
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_go_on_without_end_end_the_connection() {
    let field = Field::new().await;
    let mut stream = connect(&field).await;
    stream.write_all(&frame(HEADERS, END_STREAM, 1, &block(&request("/attack")))).await.expect("written");
    let more = block(&[("x-attack", "some more of the same")]).repeat(100);
    let ((), ()) = tokio::join!(flood(stream, |_| frame(CONTINUATION, 0, 1, &more)), field.others_are_served());
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_continuations_without_end_end_the_connection() {
    let field = Field::new().await;
    let mut stream = connect(&field).await;
    stream.write_all(&frame(HEADERS, END_STREAM, 1, &block(&request("/attack")))).await.expect("written");
    let ((), ()) = tokio::join!(flood(stream, |_| frame(CONTINUATION, 0, 1, &[])), field.others_are_served());
    field.ends_unharmed().await;
}

/// A client that asks for signs of life and reads none must not fill the proxy's memory: it is no longer read from.
#[tokio::test(flavor = "multi_thread")]
async fn pings_without_end_hold_nobody_up() {
    let field = Field::new().await;
    let mut stream = connect(&field).await;
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(1_000);
    let until_it_stalls = async {
        for _ in 0..10_000 {
            let written = tokio::time::timeout(std::time::Duration::from_secs(1), stream.write_all(&pings)).await;
            if !matches!(written, Ok(Ok(()))) {
                return;
            }
        }
        panic!("170 MB of pings were taken, and none of the answers was read");
    };
    let ((), ()) = tokio::join!(until_it_stalls, field.others_are_served());
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_list_that_unpacks_to_far_more_than_was_sent_is_refused() {
    let field = Field::new().await;
    let mut stream = connect(&field).await;
    // One long header, to be remembered, and then two bytes for each time that it is repeated.
    let mut bomb = block(&request("/attack"));
    let long = "a".repeat(3_000);
    bomb.extend([0x40, 8]);
    bomb.extend(b"x-attack");
    bomb.extend([0x7f, 0xb9, 0x16]);
    bomb.extend(long.as_bytes());
    bomb.extend([0xbe].repeat(8_000));
    stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &bomb)).await.expect("written");
    assert_ne!(outcome(&mut stream).await, Became::Answered(OK));
    field.ends_unharmed().await;
}
