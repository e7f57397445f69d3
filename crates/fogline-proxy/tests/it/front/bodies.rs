//! Bodies: bounded on the way in, watched both ways, and passed on as they come.

use bytes::Bytes;
use fogline_core::spec::TrafficSpec;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::stage::{Answer, HOST, Replica, Stage, request, text};

async fn count(request: hyper::Request<hyper::body::Incoming>) -> Answer {
    match request.into_body().collect().await {
        Ok(body) => text(body.to_bytes().len().to_string()),
        Err(_) => text("cut"),
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_by_its_length_or_on_its_way() {
    let replica = Replica::start(1, count).await;
    let stage = Stage::serving(TrafficSpec { max_body_mb: 1, ..TrafficSpec::default() }, &[&replica]);
    let mut whole = request("POST", "/", "");
    *whole.body_mut() = Full::new(Bytes::from(vec![b'x'; 1 << 20]));
    assert_eq!(stage.send(whole).await.body, (1 << 20).to_string());
    let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1048577\r\n\r\n");
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).await.unwrap();
    assert!(back.starts_with("HTTP/1.1 413"), "{back}");
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; 0x10_0001]).await.unwrap();
    let mut back = [0; 12];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let replica = Replica::start(1, count).await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let head = format!("PUT / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}

#[tokio::test]
async fn a_replica_that_does_not_answer_in_time_is_given_up() {
    let replica = Replica::start(1, |_| std::future::pending()).await;
    let stage = Stage::serving(TrafficSpec { timeout_s: 1, ..TrafficSpec::default() }, &[&replica]);
    let got = stage.get("/").await;
    assert_eq!(got.status, 504);
    assert!(got.body.contains("within 1 s"), "{}", got.body);
}

#[tokio::test]
async fn a_client_that_does_not_finish_asking_is_told_so_and_its_replica_is_not_blamed() {
    let (slow, other) = (Replica::start(1, count).await, Replica::start(2, count).await);
    let stage = Stage::serving(TrafficSpec { timeout_s: 1, ..TrafficSpec::default() }, &[&slow, &other]);
    let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\nhalf");
    let mut asking = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        asking.push(stream);
    }
    for mut stream in asking {
        let mut back = String::new();
        stream.read_to_string(&mut back).await.unwrap();
        assert!(back.starts_with("HTTP/1.1 408"), "{back}");
    }
    assert!(stage.traffic().replicas.iter().all(|replica| !replica.ejected));
}

#[tokio::test]
async fn an_answer_comes_as_it_is_made_and_is_cut_when_it_stalls() {
    let replica = Replica::start(1, |_| async {
        let frames = futures_util::stream::once(async { Ok(Frame::data(Bytes::from_static(b"begun"))) });
        let stalled = futures_util::StreamExt::chain(frames, futures_util::stream::pending());
        Response::new(BodyExt::boxed(StreamBody::new(stalled)))
    })
    .await;
    let stage = Stage::serving(TrafficSpec { idle_timeout_s: 1, ..TrafficSpec::default() }, &[&replica]);
    let mut client = stage.client().await;
    let mut answer = client.sender.send_request(request("GET", "/", "")).await.unwrap();
    let first = answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "begun");
    assert!(answer.body_mut().frame().await.unwrap().is_err(), "it is not taken for whole");
}
