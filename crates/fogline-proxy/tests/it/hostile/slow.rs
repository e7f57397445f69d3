//! Clients that take their time: each is cut in the end, and costs nobody else anything.

use std::time::Duration;

use fogline_proxy::Patience;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::rig::{DEADLINE, raw};

use super::Field;

const SHORT: Patience = Patience { head: Duration::from_secs(2), rest: Duration::from_secs(2) };

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_never_end_are_cut_and_hold_nobody_up() {
    let field = Field::with_patience(|_| {}, SHORT).await;
    let mut slow = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(field.http()).await.expect("connected");
        // Some do not say a byte, some stop in the middle of their first request, some after their first.
        let said = match number % 3 {
            0 => "",
            1 => "GET /attack HTTP/1.1\r\nHost: shop.example\r\nX-Slow: ",
            _ => "GET /plain HTTP/1.1\r\nHost: shop.example\r\n\r\nGET /attack HTTP/1.1\r\nHost: ",
        };
        stream.write_all(said.as_bytes()).await.expect("written");
        slow.push(stream);
    }
    field.others_are_served().await;
    for mut stream in slow {
        let back = raw::read_to_end(&mut stream).await;
        assert!(matches!(back.statuses()[..], [] | [200] | [400 | 408] | [200, 400 | 408]), "{}", back.text());
    }
    field.ends_unharmed().await;
}

/// What counts is when the head began, not when its last byte came.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_a_byte_at_a_time_is_cut() {
    let field = Field::with_patience(|_| {}, SHORT).await;
    let mut stream = TcpStream::connect(field.http()).await.expect("connected");
    stream.write_all(b"GET /attack HTTP/1.1\r\nHost: shop.example\r\nX-Slow: ").await.expect("written");
    let dribble = async {
        while stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(DEADLINE, dribble).await.expect("cut");
    field.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_is_cut_and_its_replica_is_free_again() {
    let field = Field::with(|traffic| {
        traffic.idle_timeout_s = 1;
        traffic.max_open_per_replica = 1;
    })
    .await;
    let mut stream = TcpStream::connect(field.http()).await.expect("connected");
    let head = "POST /stops HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1000\r\n\r\nsome";
    stream.write_all(head.as_bytes()).await.expect("written");
    // It gets the only slot, as soon as the body is given up.
    assert_eq!(raw::get(field.http(), "shop.example", "/next").await, 200);
    let back = raw::read_to_end(&mut stream).await;
    assert!(!back.statuses().contains(&200), "{}", back.text());
    field.ends_unharmed().await;
}
