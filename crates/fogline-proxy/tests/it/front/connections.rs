//! Connections to replicas: used again only where they stand between two requests, whatever either end does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use fogline_core::id::IdSource;
use fogline_core::spec::TrafficSpec;
use fogline_core::time::Timestamp;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use super::stage::{HOST, Replica, Stage, request, until};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

/// A replica that does on each connection, by its number, what the test says, byte by byte.
async fn scripted<F, A>(serve: F) -> Replica
where
    F: Fn(usize, TcpStream) -> A + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let connections = Arc::<AtomicUsize>::default();
    let (opened, stopped) = (Arc::clone(&connections), CancellationToken::new());
    let stop = stopped.clone();
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a client");
            tokio::spawn(serve(opened.fetch_add(1, Ordering::SeqCst), stream));
        }
    }));
    let id = IdSource::new(1).next(Timestamp::EPOCH);
    Replica { id, address, requests: Arc::default(), connections, _stop: stopped.drop_guard() }
}

/// Reads one head, with what of its body comes along; false where the other end has closed instead.
async fn head(stream: &mut TcpStream) -> bool {
    let mut read = Vec::new();
    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
            return false;
        }
    }
    true
}

fn connections(replica: &Replica) -> usize {
    replica.connections.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_connection_that_the_replica_wants_closed_is_not_used_again() {
    let replica = scripted(|_, mut stream| async move {
        while head(&mut stream).await {
            let closing = OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
            stream.write_all(closing.as_bytes()).await.unwrap();
        }
    })
    .await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let mut client = stage.client().await;
    for number in 1..=3 {
        let got = client.get("/").await;
        assert_eq!((got.status, got.body.as_str(), connections(&replica)), (200, "fine", number));
        assert!(!got.headers.contains_key("connection"), "that was between the proxy and the replica");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_has_asked_for_is_given_to_nobody() {
    let replica = scripted(|number, mut stream| async move {
        let planted = if number == 0 { OK.replace("fine", "evil") } else { String::new() };
        while head(&mut stream).await {
            stream.write_all(format!("{OK}{planted}").as_bytes()).await.unwrap();
        }
    })
    .await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let mut client = stage.client().await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.body, "fine");
    }
    assert_eq!(connections(&replica), 2, "the first one was closed");
}

#[tokio::test]
async fn a_connection_whose_answer_nobody_has_read_to_its_end_is_closed() {
    let replica = scripted(|number, mut stream| async move {
        if number > 0 {
            while head(&mut stream).await {
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegun").await.unwrap();
        assert!(!head(&mut stream).await, "nothing is sent over it again");
    })
    .await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let mut client = stage.client().await;
    let mut answer = client.sender.send_request(request("GET", "/", "")).await.unwrap();
    assert_eq!(answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), "begun");
    drop((answer, client));
    until("the slot to be given back", || (stage.traffic().open == 0).then_some(())).await;
    assert_eq!(stage.get("/").await.body, "fine");
    assert_eq!(connections(&replica), 2);
}

#[tokio::test]
async fn an_answer_before_the_body_is_passed_on_and_ends_the_connection() {
    let replica = scripted(|number, mut stream| async move {
        let status = if number == 0 { "403 Forbidden" } else { "200 OK" };
        head(&mut stream).await;
        stream.write_all(OK.replace("200 OK", status).as_bytes()).await.unwrap();
        // What is left of the body may still come; no other request may.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(!String::from_utf8_lossy(&rest).contains("HTTP/1.1"));
    })
    .await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let begun = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n\r\nbegun");
    stream.write_all(begun.as_bytes()).await.unwrap();
    let mut back = Vec::new();
    while !back.ends_with(b"fine") {
        assert_ne!(stream.read_buf(&mut back).await.unwrap(), 0, "{}", String::from_utf8_lossy(&back));
    }
    assert!(back.starts_with(b"HTTP/1.1 403"));
    assert_eq!(stage.get("/").await.status, 200);
    assert_eq!(connections(&replica), 2);
}

#[tokio::test]
async fn early_hints_and_answers_without_a_body_leave_both_ends_in_step() {
    let replica = scripted(|_, mut stream| async move {
        let answers = [
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            OK,
        ];
        for answer in answers {
            head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let mut client = stage.client().await;
    for (status, body) in [(200, "fine"), (304, ""), (204, ""), (200, "fine")] {
        let got = client.get("/").await;
        assert_eq!((got.status, got.body.as_str()), (status, body));
    }
    assert_eq!(connections(&replica), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    let replica = scripted(|_, mut stream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n").await.unwrap();
    })
    .await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let mut client = stage.client().await;
    // It may break off before its head has gone on.
    let whole = match client.sender.send_request(request("GET", "/", "")).await {
        Ok(answer) => answer.into_body().collect().await.is_ok(),
        Err(_) => false,
    };
    assert!(!whole);
    until("it to be counted", || (stage.traffic().failed == 1).then_some(())).await;
}

#[tokio::test]
async fn a_connection_that_is_closed_just_when_it_is_used_again_costs_no_request_that_may_be_repeated() {
    let replica = scripted(|_, mut stream| async move {
        head(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        // Reads what is asked next, and closes.
        head(&mut stream).await;
    })
    .await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let mut client = stage.client().await;
    for number in 1..=3 {
        let got = client.get("/").await;
        assert_eq!((got.status, connections(&replica)), (200, number), "on a new connection to the only replica");
    }
    assert_eq!(client.send(request("POST", "/", "order")).await.status, 502, "it may have been acted on");
    let traffic = stage.traffic();
    assert!(!traffic.replicas[0].ejected);
}

/// All of them may have been closed at the same moment.
#[tokio::test]
async fn what_is_repeated_is_not_tried_on_another_connection_that_rested() {
    let both = Arc::new(Barrier::new(2));
    let replica = scripted(move |number, mut stream| {
        let both = Arc::clone(&both);
        async move {
            head(&mut stream).await;
            if number < 2 {
                both.wait().await;
            }
            stream.write_all(OK.as_bytes()).await.unwrap();
            head(&mut stream).await;
        }
    })
    .await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let stream = TcpStream::connect(stage.address).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let ask = || {
        let asked = Request::get(format!("http://{HOST}/")).body(Full::<Bytes>::default()).unwrap();
        let answer = sender.clone().send_request(asked);
        async move {
            let answer = answer.await.unwrap();
            let status = answer.status();
            answer.into_body().collect().await.unwrap();
            status
        }
    };
    let (one, another) = tokio::join!(ask(), ask());
    assert_eq!((one, another, connections(&replica)), (StatusCode::OK, StatusCode::OK, 2));
    assert_eq!((ask().await, connections(&replica)), (StatusCode::OK, 3));
}
