//! What every source does: each test here is played with all four.

mod rig;

use fogline_core::scaling::policy::SourceKind;
use fogline_core::scaling::sample::Sample;
use fogline_source::{Connection, Credentials};
use fogline_testbed::patience::wait_for;

use crate::hostile::{Deed, Hostile};
use crate::setup::{Files, SHORT, ask, ask_at, connected, now, question, reason, value};
use rig::{Rig, play};

macro_rules! all {
    ($($name:ident),* $(,)?) => {
        mod prometheus {
            use super::{SourceKind, play};
            $(#[test] fn $name() { play(SourceKind::Prometheus, super::$name); })*
        }
        mod http_json {
            use super::{SourceKind, play};
            $(#[test] fn $name() { play(SourceKind::HttpJson, super::$name); })*
        }
        mod postgresql {
            use super::{SourceKind, play};
            $(#[test] fn $name() { play(SourceKind::Postgresql, super::$name); })*
        }
        mod redis {
            use super::{SourceKind, play};
            $(#[test] fn $name() { play(SourceKind::Redis, super::$name); })*
        }
    };
}

all![
    a_value_is_given_with_its_time,
    what_is_not_there_is_missing_and_never_zero,
    what_is_no_number_is_an_error,
    what_the_server_refuses_is_told,
    many_ask_at_once,
    a_server_that_is_away_is_told_and_asked_again,
    wrong_credentials_are_told_and_not_shown,
    a_server_that_hangs_costs_the_deadline_and_no_more,
    a_slow_drip_costs_the_deadline_and_no_more,
    what_floods_is_not_read,
    nonsense_is_an_error,
];

async fn a_value_is_given_with_its_time(rig: Rig) {
    let now = now();
    let answer = ask_at(&rig.sources, &rig.seven(), now).await;
    assert_eq!(value(&answer), 7.0);
    // Prometheus has milliseconds.
    let Sample::Value { at, .. } = answer.sample else { unreachable!("it has a value") };
    assert!(at <= now && now.since(at).as_millis() <= 1, "{at} for {now}");
    assert!(answer.history.is_empty());
}

async fn what_is_not_there_is_missing_and_never_zero(rig: Rig) {
    for spec in rig.missing() {
        let answer = ask(&rig.sources, &spec).await;
        if rig.kind == SourceKind::Redis {
            // Except where the server itself counts so: a list that is not there is an empty one.
            assert_eq!(value(&answer), 0.0);
        } else {
            assert_eq!(answer.sample, Sample::Missing, "{spec:?}");
        }
    }
}

async fn what_is_no_number_is_an_error(rig: Rig) {
    for (spec, said) in rig.no_numbers() {
        let answer = ask(&rig.sources, &spec).await;
        assert!(reason(&answer).contains(said), "{spec:?}: {}", reason(&answer));
        assert!(reason(&answer).starts_with("connection here: "), "{}", reason(&answer));
    }
}

async fn what_the_server_refuses_is_told(rig: Rig) {
    let (connection, spec, said) = rig.refused();
    let sources = connection.map_or_else(|| rig.sources.clone(), connected);
    let answer = ask(&sources, &spec).await;
    assert!(reason(&answer).contains(said), "{}", reason(&answer));
}

async fn many_ask_at_once(rig: Rig) {
    let spec = rig.seven();
    let asked: Vec<_> = (0..40).map(|_| ask(&rig.sources, &spec)).collect();
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(value(&answer), 7.0);
    }
}

async fn a_server_that_is_away_is_told_and_asked_again(rig: Rig) {
    let server = rig.own_server().await;
    let sources = connected(server.connection());
    let spec = rig.constant();
    assert_eq!(value(&ask(&sources, &spec).await), 3.0);
    let server = server.with(|server| server.kill()).await;
    let answer = ask(&sources, &spec).await;
    assert!(reason(&answer).to_lowercase().contains("connection refused"), "{}", reason(&answer));
    let server = server.with(|server| server.restart()).await;
    assert_eq!(value(&ask(&sources, &spec).await), 3.0);
    drop(server);
}

async fn wrong_credentials_are_told_and_not_shown(rig: Rig) {
    const CANARY: &str = "canary-5e1f-wrong";
    let files = Files::new();
    let server = rig.closed_server().await;
    let right = server.connection(&files);
    assert_eq!(value(&ask(&connected(right.clone()), &rig.constant()).await), 3.0);
    let Credentials::Password { username, .. } = &right.credentials else { panic!("a password") };
    let wrong = Connection { credentials: files.password(username.as_deref(), CANARY), ..right.clone() };
    let none = if rig.kind == SourceKind::Postgresql {
        Credentials::Password { username: username.clone(), password_file: None }
    } else {
        Credentials::None
    };
    for connection in [wrong, Connection { credentials: none, ..right }] {
        let sources = connected(connection);
        let answer = ask(&sources, &rig.constant()).await;
        let said = ["401", "password authentication failed", "Password authentication failed", "NOAUTH"]
            .iter()
            .any(|word| reason(&answer).contains(word));
        assert!(said, "{}", reason(&answer));
        let all = format!("{answer:?} {sources:?}");
        assert!(!all.contains(CANARY), "{all}");
    }
}

async fn a_server_that_hangs_costs_the_deadline_and_no_more(rig: Rig) {
    let server = Hostile::start(Deed::Hang);
    let files = Files::new();
    let answer = ask(&connected(rig.connection_at(&server, &files)), &rig.soon()).await;
    assert_eq!(reason(&answer), "connection here: no answer within 400ms");
    wait_for("the one connection to be seen", || (server.connections() == 1).then_some(()));
}

async fn a_slow_drip_costs_the_deadline_and_no_more(rig: Rig) {
    let (words, more) = rig.endless();
    let server = Hostile::start(Deed::Drip(words, more.get(..1).unwrap_or(b" ").to_vec()));
    let files = Files::new();
    let answer = ask(&connected(rig.connection_at(&server, &files)), &rig.soon()).await;
    assert_eq!(reason(&answer), "connection here: no answer within 400ms");
}

async fn what_floods_is_not_read(rig: Rig) {
    if rig.kind == SourceKind::Postgresql {
        // Nobody but an administrator's server is asked; what a query would flood with is in `postgresql.rs`.
        return;
    }
    let (words, more) = rig.endless();
    let server = Hostile::start(Deed::Flood(words, more.repeat(64 * 1_024 / more.len())));
    let files = Files::new();
    let answer = ask(&connected(rig.connection_at(&server, &files)), &rig.constant()).await;
    assert!(reason(&answer).contains("larger than"), "{}", reason(&answer));
    // What was on the way in the sockets of both sides is some megabytes at most.
    assert!(server.sent() < 32 * 1_024 * 1_024, "{} bytes were taken", server.sent());
}

async fn nonsense_is_an_error(rig: Rig) {
    let mut nonsense: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"\0".repeat(4_096),
        b"\xff\xfe\x1b[2J".repeat(1_000),
        b"220 mail.example ESMTP\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\n\r\n{\"status\":".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 99999999\r\n\r\n{}".to_vec(),
        [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &b"[".repeat(500_000)].concat(),
        [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &b"x".repeat(900_000), b"\r\n\r\n{}"].concat(),
        b"*2147483647\r\n".to_vec(),
        b"*1\r\n".repeat(10_000),
        b"+OK\r\n+OK\r\n:-1\r\n$-1\r\n_\r\n".to_vec(),
        b">2\r\n$3\r\nfoo\r\n:1\r\n".to_vec(),
        b"R\x7f\xff\xff\xff".to_vec(),
        b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05IT\0\0\0\x05".to_vec(),
        b"E\0\0\0\x06\0\0".to_vec(),
    ];
    nonsense.push(nonsense.concat());
    let files = Files::new();
    for words in nonsense {
        let server = Hostile::start(Deed::Say(words.clone()));
        let answer = ask(&connected(rig.connection_at(&server, &files)), &rig.soon()).await;
        let shown = String::from_utf8_lossy(&words[..words.len().min(60)]).into_owned();
        let Sample::Error { reason } = &answer.sample else { panic!("{shown:?} was taken for {answer:?}") };
        assert!(!reason.contains(char::is_control) && reason.chars().count() <= 500, "{shown:?}: {reason:?}");
    }
}

#[test]
fn a_question_of_a_kind_goes_to_a_connection_of_that_kind() {
    let sources = connected(Connection::new(SourceKind::Redis, "redis://127.0.0.1:1"));
    let mut spec = question(SourceKind::Prometheus);
    spec.timeout.0 = SHORT;
    spec.query = Some("up".to_owned());
    assert_eq!(sources.check(&spec).expect_err("it is Redis").field, "connection");
}
