//! Credentials go to their server and nowhere else, and are in nothing that anybody is shown.

use fogline_core::scaling::policy::{MetricSpec, SourceKind};
use fogline_source::{Connection, Credentials, Sources, SourcesConfig};

use crate::hostile::{Deed, Hostile};
use crate::setup::{Files, ask, connected, question, reason};

const CANARY: &str = "canary-9a41-secret";
/// `me:` and the canary in base64, without its end.
const ENCODED: &str = "bWU6Y2FuYXJ5LTlhNDEtc2VjcmV0";

fn question_of(kind: SourceKind) -> MetricSpec {
    let mut spec = question(kind);
    match kind {
        SourceKind::Prometheus | SourceKind::Postgresql => spec.query = Some("SELECT 1".to_owned()),
        SourceKind::HttpJson => spec.pointer = Some("/n".to_owned()),
        SourceKind::Redis => spec.key = Some("k".to_owned()),
    }
    spec
}

#[tokio::test]
async fn a_server_that_echoes_them_does_not_make_them_public() {
    let files = Files::new();
    let echo = format!(r#"{{"status":"error","error":"you said {CANARY} and {ENCODED}","n":"{CANARY}"}}"#);
    let bearer = Credentials::Bearer { token_file: files.secret(CANARY) };
    let password = files.password(Some("me"), CANARY);
    for (kind, credentials) in [
        (SourceKind::Prometheus, bearer.clone()),
        (SourceKind::Prometheus, password.clone()),
        (SourceKind::HttpJson, bearer),
        (SourceKind::HttpJson, password),
    ] {
        for status in ["200 OK", "401 Unauthorized", "302 Found"] {
            let server = Hostile::http(status, &[&format!("Location: http://127.0.0.1:1/{CANARY}")], &echo);
            let connection =
                Connection { credentials: credentials.clone(), ..Connection::new(kind, server.url("http")) };
            let sources = connected(connection.clone());
            let answer = ask(&sources, &question_of(kind)).await;
            // It was sent, once.
            let heard = server.heard();
            assert!(heard.contains(CANARY) || heard.contains(ENCODED), "{heard}");
            let all = format!("{} {answer:?} {sources:?} {connection:?}", reason(&answer));
            assert!(!all.contains(CANARY) && !all.contains(ENCODED), "{status}: {all}");
        }
    }
}

#[tokio::test]
async fn not_even_a_part_of_a_long_one_that_is_cut() {
    let token: String = (0..400).map(|n| char::from(b'a' + (n * 7 % 26) as u8)).collect();
    let pieces =
        |text: &str| token.as_bytes().windows(12).any(|part| text.contains(str::from_utf8(part).expect("ASCII")));
    let files = Files::new();
    // Wherever the cut of what is shown goes through it.
    for before in [0, 50, 190, 199] {
        let before = "-".repeat(before);
        let error = format!(r#"{{"status":"error","error":"{before}{token}"}}"#);
        let labels = format!(r#"{{"metric":{{"{token}":"{before}{token}"}},"value":[1,"1"]}}"#);
        let series = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{labels},{labels}]}}}}"#);
        let kind = format!(r#"{{"status":"success","data":{{"resultType":"{before}{token}","result":[]}}}}"#);
        for said in [error, series, kind] {
            let server = Hostile::http("200 OK", &[], &said);
            let credentials = Credentials::Bearer { token_file: files.secret(&token) };
            let kind = SourceKind::Prometheus;
            let sources = connected(Connection { credentials, ..Connection::new(kind, server.url("http")) });
            let answer = ask(&sources, &question_of(kind)).await;
            assert!(!pieces(reason(&answer)), "{answer:?}");
        }
        let error = format!("-ERR {before}{token}\r\n").repeat(8);
        let server = Hostile::start(Deed::Say(error.into_bytes()));
        let credentials = files.password(None, &token);
        let url = format!("redis://{}", server.addr());
        let sources = connected(Connection { credentials, ..Connection::new(SourceKind::Redis, url) });
        let answer = ask(&sources, &question_of(SourceKind::Redis)).await;
        assert!(!pieces(reason(&answer)), "{answer:?}");
    }
}

#[tokio::test]
async fn redis_and_postgresql_that_echo_them_do_not_either() {
    let files = Files::new();
    let redis = format!("-ERR wrong: {CANARY}\r\n").repeat(8);
    let error = format!("SERROR\0C28P01\0Mwrong {CANARY}\0\0");
    let postgres = [b"E".as_slice(), &u32::to_be_bytes(4 + error.len() as u32), error.as_bytes()].concat();
    for (kind, said, url) in [
        (SourceKind::Redis, redis.into_bytes(), "redis://ADDR"),
        (SourceKind::Postgresql, postgres, "postgres://ADDR/db?sslmode=disable"),
    ] {
        let server = Hostile::start(Deed::Say(said));
        let credentials = files.password(Some("me"), CANARY);
        let url = url.replace("ADDR", &server.addr().to_string());
        let allow_sql = kind == SourceKind::Postgresql;
        let sources = connected(Connection { credentials, allow_sql, ..Connection::new(kind, url) });
        let answer = ask(&sources, &question_of(kind)).await;
        // The client of Redis has words of its own for this.
        let told = "the login failed (28P01, password authentication failed)";
        assert!(kind == SourceKind::Redis || reason(&answer).contains(told), "{answer:?}");
        assert!(reason(&answer).starts_with("connection here: "), "{answer:?}");
        assert!(!format!("{answer:?} {sources:?}").contains(CANARY), "{answer:?}");
    }
}

#[tokio::test]
async fn a_url_of_a_policy_is_asked_without_any() {
    let server = Hostile::http("200 OK", &[], r#"{"n": 1}"#);
    let files = Files::new();
    let connection = Connection {
        credentials: files.password(Some("me"), CANARY),
        ..Connection::new(SourceKind::HttpJson, server.url("http"))
    };
    let config = SourcesConfig {
        connections: [("here".to_owned(), connection)].into(),
        allow_private: true,
        ..SourcesConfig::default()
    };
    let sources = Sources::new(&config).expect("usable");
    let spec = MetricSpec { connection: None, url: Some(server.url("http")), ..question_of(SourceKind::HttpJson) };
    assert_eq!(crate::setup::value(&ask(&sources, &spec).await), 1.0);
    assert!(!server.heard().to_lowercase().contains("authorization"), "{}", server.heard());
}

#[test]
fn a_connection_that_cannot_be_is_told_without_its_secrets() {
    let files = Files::new();
    let none = Credentials::None;
    let bearer = Credentials::Bearer { token_file: files.secret(CANARY) };
    let password = files.password(Some("me"), CANARY);
    let nameless = files.password(None, CANARY);
    let away = Credentials::Bearer { token_file: "/nowhere/token".into() };
    let https = "https://h";
    let http_kind = SourceKind::Prometheus;
    let with_password = format!("http://me:{CANARY}@h");
    let postgres_with_password = format!("postgres://me:{CANARY}@h/db");
    let postgres_with_query = format!("postgres://h/db?password={CANARY}");
    let redis_with_password = format!("redis://:{CANARY}@h");
    for (kind, url, credentials, ca_file, said) in [
        (http_kind, &*with_password, &none, None, "user or password"),
        (http_kind, "ftp://h", &none, None, "scheme"),
        (http_kind, "http://169.254.169.254", &none, None, "metadata"),
        (http_kind, https, &away, None, "cannot read /nowhere/token"),
        (http_kind, https, &nameless, None, "come together"),
        (http_kind, "http://h", &none, Some("/nowhere/ca"), "https://"),
        (http_kind, https, &none, Some("/nowhere/ca"), "cannot read the ca_file"),
        (http_kind, https, &none, Some("/etc/passwd"), "no certificate"),
        (SourceKind::HttpJson, "h", &none, None, "no URL"),
        (SourceKind::Postgresql, &*postgres_with_password, &password, None, "user or password"),
        (SourceKind::Postgresql, &*postgres_with_query, &password, None, "user or password"),
        (SourceKind::Postgresql, "mysql://h/db", &password, None, "scheme"),
        (SourceKind::Postgresql, "postgres://h/db", &none, None, "username"),
        (SourceKind::Postgresql, "postgres://h/db", &bearer, None, "is for HTTP"),
        (SourceKind::Redis, &*redis_with_password, &none, None, "user or password"),
        (SourceKind::Redis, "http://h", &none, None, "scheme"),
        (SourceKind::Redis, "redis://h/first", &none, None, "no number"),
        (SourceKind::Redis, "redis://h", &bearer, None, "is for HTTP"),
        (SourceKind::Redis, "redis://h", &none, Some("/etc/passwd"), "rediss://"),
    ] {
        let connection = Connection {
            credentials: credentials.clone(),
            ca_file: ca_file.map(Into::into),
            ..Connection::new(kind, url)
        };
        let shown = format!("{connection:?}");
        let config = SourcesConfig { connections: [("x".to_owned(), connection)].into(), ..SourcesConfig::default() };
        let error = Sources::new(&config).expect_err(url);
        assert!(
            error.to_string().starts_with("metric_connections.x: ") && error.reason.contains(said),
            "{url}: {error}"
        );
        assert!(!format!("{error:?} {shown}").contains(CANARY), "{error:?} {shown}");
    }
    let config = SourcesConfig { prometheus_url: Some("prometheus:9090".to_owned()), ..SourcesConfig::default() };
    assert!(Sources::new(&config).expect_err("no URL").to_string().starts_with("prometheus_url: "));
}
