//! The relays: what passes, what hangs, what is cut, and requests that are spoiled.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use fogline_testbed::patience::PATIENCE;
use fogline_testbed::{Deed, Relay, UnixRelay};

/// Long enough for bytes that flow; a wait that is to see nothing takes this long.
const MOMENT: Duration = Duration::from_millis(200);

/// Answers each line with `name` and the line, until the test process ends.
fn echo(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                for line in BufReader::new(stream.try_clone().expect("a handle")).lines().map_while(Result::ok) {
                    if writeln!(&stream, "{name} {line}").is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

fn client(relay: &Relay) -> TcpStream {
    let stream = TcpStream::connect(relay.addr()).expect("it accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream
}

fn say(stream: &TcpStream, line: &str) -> String {
    writeln!({ stream }, "{line}").expect("open");
    hear(stream)
}

fn hear(stream: &TcpStream) -> String {
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).expect("an answer");
    answer.trim().to_owned()
}

#[test]
fn tcp_passes_hangs_and_goes_on() {
    let relay = Relay::to(echo("a"));
    let stream = client(&relay);
    assert_eq!(say(&stream, "one"), "a one");
    relay.hang();
    writeln!(&stream, "two").expect("open");
    let late = client(&relay);
    writeln!(&late, "three").expect("accepted");
    for held in [&stream, &late] {
        held.set_read_timeout(Some(MOMENT)).expect("not zero");
        let error = { held }.read(&mut [0]).expect_err("nothing flows");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        held.set_read_timeout(Some(PATIENCE)).expect("not zero");
    }
    relay.pass();
    assert_eq!((hear(&stream), hear(&late)), ("a two".to_owned(), "a three".to_owned()));
}

#[test]
fn tcp_is_cut_with_a_reset_refused_and_mended_on_the_same_port() {
    let relay = Relay::to(echo("a"));
    for _ in 0..3 {
        let stream = client(&relay);
        assert_eq!(say(&stream, "one"), "a one");
        relay.cut();
        assert_eq!({ &stream }.read(&mut [0]).expect_err("cut").kind(), ErrorKind::ConnectionReset);
        let refused = TcpStream::connect(relay.addr()).expect_err("cut");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        relay.pass();
    }
    let held = client(&relay);
    relay.hang();
    relay.cut();
    assert_eq!({ &held }.read(&mut [0]).expect_err("cut").kind(), ErrorKind::ConnectionReset);
}

#[test]
fn tcp_leads_elsewhere_when_told() {
    let relay = Relay::to(echo("a"));
    let stream = client(&relay);
    assert_eq!(say(&stream, "one"), "a one");
    relay.redirect(echo("b"));
    assert_eq!({ &stream }.read(&mut [0]).expect_err("cut").kind(), ErrorKind::ConnectionReset);
    assert_eq!(say(&client(&relay), "two"), "b two");
}

#[test]
fn the_end_of_one_direction_is_passed_on() {
    let relay = Relay::to(echo("a"));
    let stream = client(&relay);
    writeln!(&stream, "one").expect("open");
    stream.shutdown(std::net::Shutdown::Write).expect("open");
    let mut all = String::new();
    { &stream }.read_to_string(&mut all).expect("an end, no reset");
    assert_eq!(all, "a one\n");
}

/// An HTTP server that keeps connections open and counts what it has carried out.
fn api(socket: &Path) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(socket).expect("a socket");
    let done = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&done);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(&stream);
            let mut line = String::new();
            let mut close = false;
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                close |= line.trim() == "Connection: close";
                line.clear();
            }
            let mut body = [0; 4];
            reader.read_exact(&mut body).expect("the body that was announced");
            assert!(close, "the relay asks for one request a connection");
            counter.fetch_add(1, Ordering::SeqCst);
            let _ = { &stream }.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    done
}

/// What the client reads in answer to a `POST` with a body; nothing where it waits in vain.
fn post(socket: &Path, target: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).expect("it accepts");
    stream.set_read_timeout(Some(MOMENT * 5)).expect("not zero");
    write!(stream, "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody").expect("open");
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        _ => Some(String::from_utf8_lossy(&all).into_owned()),
    }
}

#[test]
fn each_request_meets_what_the_test_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let upstream = directory.path().join("up");
    let done = api(&upstream);
    let relay = UnixRelay::to(&upstream);
    let deeds = [
        (Deed::Pass, 1, Some("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
        (Deed::Lose, 0, Some("")),
        (Deed::LoseReply, 1, Some("")),
        (Deed::Hang, 0, None),
        (Deed::HangReply, 1, None),
    ];
    for (deed, carried_out, answer) in deeds {
        let before = done.load(Ordering::SeqCst);
        relay.once(|request| request.target == "/v1/this", deed.clone());
        assert!(post(&relay.socket(), "/v1/other").is_some_and(|answer| answer.ends_with("ok")), "{deed:?}");
        assert_eq!(post(&relay.socket(), "/v1/this").as_deref(), answer, "{deed:?}");
        assert!(post(&relay.socket(), "/v1/this").is_some_and(|answer| answer.ends_with("ok")), "once: {deed:?}");
        assert_eq!(done.load(Ordering::SeqCst) - before, carried_out + 2, "{deed:?}");
    }
    relay.on_request(|_| Deed::Answer(429, "too \"many\"".to_owned()));
    let answer = post(&relay.socket(), "/v1/this").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.ends_with(r#"{"message":"too \"many\""}"#), "{answer}");
    let seen = relay.requests();
    assert_eq!(seen.len(), 16);
    assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("POST", "/v1/other"));
}

#[test]
fn a_unix_relay_hangs_is_cut_and_mended() {
    let directory = tempfile::tempdir().expect("a directory");
    let upstream = directory.path().join("up");
    let done = api(&upstream);
    let relay = UnixRelay::to(&upstream);
    relay.hang();
    let socket = relay.socket();
    let (sender, answers) = mpsc::channel();
    std::thread::spawn(move || while sender.send(post(&socket, "/x")).is_ok() {});
    assert_eq!(answers.recv_timeout(PATIENCE).expect("its time is over"), None);
    assert_eq!(done.load(Ordering::SeqCst), 0);
    drop(answers);
    relay.cut();
    let refused = UnixStream::connect(relay.socket()).expect_err("cut");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    relay.pass();
    assert!(post(&relay.socket(), "/x").is_some_and(|answer| answer.ends_with("ok")));
}
