//! HTTP/2 on either side, gRPC's trailers, and upgrades such as WebSocket.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fogline_core::spec::{TrafficSpec, UpstreamProtocol};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame};
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::stage::{Answer, HOST, Replica, Stage, until};

async fn http2<B>(stage: &Stage, request: Request<B>) -> Response<hyper::body::Incoming>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let stream = TcpStream::connect(stage.address).await.expect("connected");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.expect("a handshake");
    tokio::spawn(connection);
    sender.send_request(request).await.expect("an answer")
}

fn request(path: &str) -> Request<Full<Bytes>> {
    let uri = format!("http://{HOST}{path}");
    Request::post(uri).header("te", "trailers").body(Full::new(Bytes::from_static(b"ping"))).expect("a request")
}

#[tokio::test]
async fn an_http2_client_is_served_by_an_http1_replica() {
    let replica = Replica::start(1, |request| async move {
        super::stage::text(format!("{:?} {}", request.version(), request.headers()["host"].to_str().unwrap()))
    })
    .await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let answer = http2(&stage, request("/")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), format!("HTTP/1.1 {HOST}"));
}

#[tokio::test]
async fn grpc_passes_with_its_trailers() {
    async fn answer(request: Request<hyper::body::Incoming>) -> Answer {
        assert_eq!(request.headers()["te"], "trailers");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let frames = [Ok(Frame::data(body)), Ok(Frame::trailers(trailers))];
        Response::new(BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames))))
    }
    let replica = Replica::start(1, answer).await;
    let traffic = TrafficSpec { protocol: UpstreamProtocol::H2, ..TrafficSpec::default() };
    let stage = Stage::serving(traffic, &[&replica]);
    for _ in 0..3 {
        let answer = http2(&stage, request("/svc/Method")).await.into_body().collect().await.unwrap();
        assert_eq!(answer.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(answer.to_bytes(), "ping");
    }
    let connections = replica.connections.load(std::sync::atomic::Ordering::SeqCst);
    assert!(connections <= 2, "one a worker, not {connections}");
}

#[tokio::test]
async fn a_websocket_goes_both_ways_and_counts_as_open_until_it_is_closed() {
    async fn echo(mut request: Request<hyper::body::Incoming>) -> Answer {
        assert_eq!(
            (&request.headers()["upgrade"], &request.headers()["connection"]),
            (&"websocket".parse().unwrap(), &"upgrade".parse().unwrap())
        );
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            let mut word = [0; 4];
            while stream.read_exact(&mut word).await.is_ok() {
                word.make_ascii_uppercase();
                stream.write_all(&word).await.unwrap();
            }
        });
        let mut answer = super::stage::text("");
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        answer.headers_mut().insert("upgrade", "websocket".parse().unwrap());
        answer.headers_mut().insert("connection", "upgrade".parse().unwrap());
        answer
    }
    let replica = Replica::start(1, echo).await;
    let stage = Arc::new(Stage::serving(TrafficSpec::default(), &[&replica]));
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let head = format!("GET /ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    // The first word is sent before the answer is there, as eager clients do.
    stream.write_all(format!("{head}ping").as_bytes()).await.unwrap();
    let mut back = Vec::new();
    while !back.ends_with(b"PING") {
        assert_ne!(stream.read_buf(&mut back).await.unwrap(), 0);
    }
    let text = String::from_utf8_lossy(&back).into_owned();
    assert!(text.starts_with("HTTP/1.1 101") && text.contains("upgrade: websocket"), "{text}");
    stream.write_all(b"pong").await.unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).await.unwrap();
    assert_eq!((&word, stage.traffic().open), (b"PONG", 1));
    drop(stream);
    until("it to be closed", || (stage.traffic().open == 0 && stage.traffic().ended == 1).then_some(())).await;
}

/// What several clients leave untaken stays in the windows of their own answers.
#[tokio::test]
async fn clients_that_take_nothing_keep_nobody_else_on_the_same_connection_from_an_answer() {
    let replica = Replica::start(1, |request| async move {
        let much = if request.uri().path() == "/much" { 4 << 20 } else { 1 };
        super::stage::text(vec![b'x'; much])
    })
    .await;
    let traffic = TrafficSpec { protocol: UpstreamProtocol::H2, ..TrafficSpec::default() };
    let stage = Stage::serving(traffic, &[&replica]);
    let mut untaken = Vec::new();
    for _ in 0..60 {
        untaken.push(http2(&stage, request("/much")).await);
    }
    for _ in 0..4 {
        let answer = http2(&stage, request("/little")).await;
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "x");
    }
    drop(untaken);
}

#[tokio::test]
async fn cookies_that_came_in_several_lines_reach_an_http1_replica_in_one() {
    let replica = Replica::start(1, |request| async move {
        let cookies: Vec<_> = request.headers().get_all("cookie").iter().map(|line| line.to_str().unwrap()).collect();
        super::stage::text(cookies.join(" | "))
    })
    .await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let mut asked = request("/");
    for cookie in ["a=1", "b=2"] {
        asked.headers_mut().append("cookie", cookie.parse().unwrap());
    }
    let answer = http2(&stage, asked).await;
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "a=1; b=2");
}

/// Each conversation lasts for longer than both may be silent, and one side only listens.
#[tokio::test]
async fn one_side_of_a_stream_may_be_silent_while_the_other_speaks() {
    async fn answer(request: Request<hyper::body::Incoming>) -> Answer {
        if request.uri().path() == "/speaks" {
            return Response::new(BodyExt::boxed(words()));
        }
        let (said, heard) = mpsc::channel(1);
        tokio::spawn(async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            said.send(Ok(Frame::data(body))).await.unwrap();
        });
        Response::new(BodyExt::boxed(StreamBody::new(ReceiverStream::new(heard))))
    }
    let replica = Replica::start(1, answer).await;
    let traffic = TrafficSpec { protocol: UpstreamProtocol::H2, idle_timeout_s: 2, ..TrafficSpec::default() };
    let stage = Stage::serving(traffic, &[&replica]);
    let (_open, silent) = mpsc::channel(1);
    let silent = StreamBody::new(ReceiverStream::new(silent));
    let (listened, spoken) = tokio::join!(
        http2(&stage, Request::post(format!("http://{HOST}/speaks")).body(silent).unwrap()),
        http2(&stage, Request::post(format!("http://{HOST}/listens")).body(words()).unwrap()),
    );
    let (listened, spoken) = tokio::join!(listened.into_body().collect(), spoken.into_body().collect());
    assert_eq!((listened.unwrap().to_bytes(), spoken.unwrap().to_bytes()), (WORDS.into(), WORDS.into()));
}

const WORDS: &[u8] = b"aaaaaaa";

/// One after the other, with pauses.
fn words() -> StreamBody<ReceiverStream<Result<Frame<Bytes>, Infallible>>> {
    let (say, said) = mpsc::channel(1);
    tokio::spawn(async move {
        for word in WORDS.chunks(1) {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let _ = say.send(Ok(Frame::data(Bytes::from_static(word)))).await;
        }
    });
    StreamBody::new(ReceiverStream::new(said))
}

/// It asks, opens no window for the answer, and gives signs of life for as long as it is asked for them.
#[tokio::test]
async fn a_client_that_takes_nothing_of_an_answer_is_cut_and_its_replica_is_free_again() {
    let replica = Replica::start(1, |request| async move {
        let much = if request.uri().path() == "/much" { 1 << 20 } else { 1 };
        super::stage::text(vec![b'x'; much])
    })
    .await;
    let traffic = TrafficSpec { idle_timeout_s: 1, max_open_per_replica: 1, ..TrafficSpec::default() };
    let stage = Stage::serving(traffic, &[&replica]);
    let stream = TcpStream::connect(stage.address).await.unwrap();
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let handshake = builder.initial_stream_window_size(1_000).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let asked = Request::get(format!("http://{HOST}/much")).body(Full::<Bytes>::default()).unwrap();
    let answer = sender.send_request(asked).await.unwrap();
    assert_eq!(stage.get("/next").await.body, "x", "it has the only slot");
    assert!(answer.into_body().collect().await.is_err());
}

#[tokio::test]
async fn an_answer_that_is_not_taken_does_not_take_others_on_the_connection_with_it() {
    let replica = Replica::start(1, |request| async move {
        if request.uri().path() == "/much" {
            super::stage::text(vec![b'x'; 1 << 20])
        } else {
            Response::new(BodyExt::boxed(words()))
        }
    })
    .await;
    let stage = Stage::serving(TrafficSpec { idle_timeout_s: 1, ..TrafficSpec::default() }, &[&replica]);
    let stream = TcpStream::connect(stage.address).await.unwrap();
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let handshake = builder.initial_stream_window_size(1_000).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let asked = |path: &str| Request::get(format!("http://{HOST}{path}")).body(Full::<Bytes>::default()).unwrap();
    let untaken = sender.send_request(asked("/much")).await.unwrap();
    let spoken = sender.send_request(asked("/words")).await.unwrap();
    assert_eq!(spoken.into_body().collect().await.unwrap().to_bytes(), WORDS);
    until("the other to be cut", || (stage.traffic().open == 0).then_some(())).await;
    assert!(untaken.into_body().collect().await.is_err());
}
