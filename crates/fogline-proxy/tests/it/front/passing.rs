//! A request reaches its replica as it was sent, but for what is between neighbours, and its answer comes back so.

use fogline_core::spec::{RouteSpec, TrafficSpec};
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::stage::{Answer, HOST, Replica, Stage, request, text};

/// Answers with what it was asked.
async fn tell(request: Request<Incoming>) -> Answer {
    let mut told = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        told += &format!("{name}: {}\n", value.to_str().expect("text"));
    }
    let body = request.into_body().collect().await.expect("a whole body").to_bytes();
    told += &String::from_utf8_lossy(&body);
    let mut answer = text(told);
    answer.headers_mut().insert("connection", "x-inner".parse().expect("a value"));
    answer.headers_mut().insert("x-inner", "1".parse().expect("a value"));
    answer.headers_mut().insert("x-outer", "1".parse().expect("a value"));
    answer
}

#[tokio::test]
async fn headers_between_neighbours_stay_between_them_and_the_client_is_told() {
    let replica = Replica::start(1, tell).await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let mut asked = request("POST", "/a/b?c=d", "body");
    for (name, value) in [
        ("connection", "x-secret"),
        ("x-secret", "1"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("x-kept", "yes"),
    ] {
        asked.headers_mut().insert(name, value.parse().unwrap());
    }
    let got = stage.send(asked).await;
    assert_eq!(got.status, 200);
    assert!(got.body.starts_with("POST /a/b?c=d\n") && got.body.ends_with("\nbody"), "{}", got.body);
    for line in [
        "host: app.test",
        "x-kept: yes",
        "x-forwarded-for: 127.0.0.1",
        "x-real-ip: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: app.test",
        "forwarded: for=127.0.0.1;proto=http;host=\"app.test\"",
    ] {
        assert!(got.body.lines().any(|told| told == line), "{line} is not in {}", got.body);
    }
    assert!(!got.body.contains("x-secret") && !got.body.contains("6.6.6.6"), "{}", got.body);
    assert!(got.headers.contains_key("x-outer") && !got.headers.contains_key("x-inner"));
}

#[tokio::test]
async fn the_longest_path_counts_and_is_cut_off_where_asked() {
    let replica = Replica::start(1, tell).await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    stage.change(|service| {
        let route = |path: &str, strip_path| RouteSpec {
            host: Some(HOST.to_owned()),
            path: Some(path.to_owned()),
            strip_path,
            tcp_port: None,
        };
        service.routes = [route("/api", true), route("/files", false)].into();
    });
    assert!(stage.get("/api/v1?x=1").await.body.starts_with("GET /v1?x=1\n"));
    assert!(stage.get("/api").await.body.starts_with("GET /\n"));
    assert!(stage.get("/files/a%2fb").await.body.starts_with("GET /files/a%2fb\n"));
    let unknown = stage.get("/apis").await;
    assert_eq!((unknown.status, unknown.headers["content-type"].to_str().unwrap()), (404, "application/problem+json"));
    assert_eq!(stage.get("/files/../api/x").await.status, 400, "it could be read as the other route");
}

#[tokio::test]
async fn one_connection_to_a_replica_serves_many_requests() {
    let replica = Replica::saying(1, "hello").await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let mut client = stage.client().await;
    for _ in 0..20 {
        assert_eq!(client.get("/").await.body, "hello");
    }
    assert_eq!(replica.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
    let traffic = stage.traffic();
    assert_eq!((traffic.begun, traffic.ended, traffic.failed, traffic.open), (20, 20, 0, 0));
    assert_eq!(traffic.latency.iter().sum::<u64>(), 20);
    assert_eq!((traffic.replicas[0].replica_id, traffic.replicas[0].ended), (replica.id, 20));
}

#[tokio::test]
async fn old_clients_and_heads_get_what_they_understand() {
    let replica = Replica::saying(1, "hello").await;
    let stage = Stage::serving(TrafficSpec::default(), &[&replica]);
    let head = stage.send(request("HEAD", "/", "")).await;
    assert_eq!((head.status, head.headers["content-length"].to_str().unwrap(), head.body.as_str()), (200, "5", ""));
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    stream.write_all(format!("GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n").as_bytes()).await.unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).await.unwrap();
    assert!(back.starts_with("HTTP/1.0 200") && back.ends_with("\r\n\r\nhello"), "{back}");
}

#[tokio::test]
async fn what_is_not_counted_is_passed_on_and_is_in_no_figure() {
    let replica = Replica::saying(1, "hello").await;
    let rule = fogline_core::spec::NotCounted { path: Some("/healthz".to_owned()), user_agent: None };
    let stage = Stage::serving(TrafficSpec { not_counted: vec![rule], ..TrafficSpec::default() }, &[&replica]);
    assert_eq!(stage.get("/healthz").await.body, "hello");
    let traffic = stage.traffic();
    assert_eq!((traffic.begun, traffic.ended, traffic.replicas.len()), (0, 0, 0));
    stage.change(|service| (service.asleep, service.upstreams) = (true, Vec::new()));
    assert_eq!(stage.get("/healthz").await.status, 503, "it wakes nothing, so it does not wait");
}
