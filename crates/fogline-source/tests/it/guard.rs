//! Where URLs of users may lead, played through: what is checked is what is connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fogline_core::scaling::policy::{MetricSpec, SourceKind};
use fogline_source::guard::{CallError, Guard, GuardedClient, Lookup, Names};
use fogline_source::{Sources, SourcesConfig};

use crate::hostile::{Deed, Hostile};
use crate::setup::{ask, question, question_at, reason, value};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Of a block that was given back and is nobody's: public by its form, and no packet of a test reaches anybody.
const PUBLIC: IpAddr = IpAddr::V6(Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 1));
const SECOND: Duration = Duration::from_secs(1);

/// A resolver that gives these answers, one after the other, and the last one for ever.
struct Rebinding {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Rebinding {
    fn with(answers: &[&[IpAddr]]) -> Arc<Self> {
        let answers = answers.iter().rev().map(|one| one.to_vec()).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }
}

impl Names for Rebinding {
    fn lookup(&self, _: &str) -> Lookup {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().expect("no test panics with it");
        let answer = if answers.len() > 1 { answers.pop() } else { answers.first().cloned() };
        Box::pin(std::future::ready(Ok(answer.expect("there is one"))))
    }
}

fn sources(allow_private: bool, names: Arc<dyn Names>) -> Sources {
    let config = SourcesConfig { allow_private, ..SourcesConfig::default() };
    Sources::with_names(&config, names).expect("nothing to go wrong")
}

/// A question of each kind that a URL may be given for.
fn questions(server: &Hostile, host: &str) -> [MetricSpec; 3] {
    let at = |kind, scheme| question_at(kind, format!("{scheme}://{host}:{}/", server.port()));
    [
        MetricSpec { query: Some("up".to_owned()), ..at(SourceKind::Prometheus, "http") },
        at(SourceKind::HttpJson, "http"),
        MetricSpec { key: Some("k".to_owned()), ..at(SourceKind::Redis, "redis") },
    ]
}

#[tokio::test]
async fn a_name_that_leads_home_is_refused() {
    let server = Hostile::start(Deed::Hang);
    for addresses in [&[LOOPBACK][..], &[PUBLIC, LOOPBACK], &["::ffff:127.0.0.1".parse().expect("one")]] {
        let sources = sources(false, Rebinding::with(&[addresses]));
        for spec in questions(&server, "rebind.example") {
            sources.check(&spec).expect("a name is looked up when it is asked");
            let answer = ask(&sources, &spec).await;
            assert!(reason(&answer).contains("rebind.example is an address of this machine itself"), "{answer:?}");
            // What a name leads to is nothing for whoever writes policies.
            assert!(!reason(&answer).contains("127.0.0.1"), "{answer:?}");
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    // Public when it is checked, loopback a moment later: whoever looked twice would call home.
    let server = Hostile::http("200 OK", &[], "1");
    for spec in questions(&server, "rebind.example") {
        let names = Rebinding::with(&[&[PUBLIC], &[LOOPBACK]]);
        let sources = sources(false, Arc::clone(&names) as Arc<dyn Names>);
        let spec = MetricSpec { timeout: fogline_core::scaling::policy::Span(SECOND / 2), ..spec };
        let answer = ask(&sources, &spec).await;
        assert!(!reason(&answer).is_empty());
        assert_eq!(names.asked.load(Ordering::SeqCst), 1, "{answer:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn the_checked_address_is_the_one_that_is_called() {
    // A name that no resolver knows, and the server sees it as the host.
    let server = Hostile::http("200 OK", &[], "5");
    let sources = sources(true, Rebinding::with(&[&[LOOPBACK]]));
    let [_, spec, _] = questions(&server, "metrics.example");
    assert_eq!(value(&ask(&sources, &spec).await), 5.0);
    let host = format!("host: metrics.example:{}", server.port());
    assert!(server.heard().to_lowercase().contains(&host), "{}", server.heard());
}

#[tokio::test]
async fn addresses_in_every_notation_are_refused_before_anything_is_sent() {
    let server = Hostile::start(Deed::Hang);
    let sources = sources(false, Rebinding::with(&[&[LOOPBACK]]));
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "127.0.0.1.",
    ] {
        for spec in questions(&server, host) {
            assert_eq!(sources.check(&spec).expect_err(host).field, "url");
            let answer = ask(&sources, &spec).await;
            assert!(reason(&answer).contains("may not be called"), "{host}: {answer:?}");
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn metadata_services_are_refused_whatever_is_allowed() {
    for address in ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254", "100.100.100.200"] {
        let address: IpAddr = address.parse().expect("an address");
        let names = Rebinding::with(&[&[address]]);
        let server = Hostile::start(Deed::Hang);
        let sources = sources(true, names);
        let literal = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
        for host in [&*literal, "metadata.example"] {
            for spec in questions(&server, host) {
                let answer = ask(&sources, &spec).await;
                assert!(reason(&answer).contains("the metadata service of a cloud"), "{host}: {answer:?}");
            }
        }
    }
    // A connection of an administrator neither.
    let config =
        SourcesConfig { prometheus_url: Some("http://metadata.example".to_owned()), ..SourcesConfig::default() };
    let names = Rebinding::with(&[&["169.254.169.254".parse().expect("an address")]]);
    let sources = Sources::with_names(&config, names).expect("a name");
    let spec = MetricSpec { connection: None, query: Some("up".to_owned()), ..question(SourceKind::Prometheus) };
    assert!(reason(&ask(&sources, &spec).await).contains("metadata"));
}

#[tokio::test]
async fn questions_that_no_settings_answer_are_refused_when_they_are_written() {
    let sources = sources(false, Rebinding::with(&[&[PUBLIC]]));
    let of = |kind| MetricSpec { connection: None, ..question(kind) };
    let at = |kind, url: &str| MetricSpec { url: Some(url.to_owned()), ..of(kind) };
    for (spec, field, said) in [
        (of(SourceKind::Prometheus), "connection", "no prometheus_url"),
        (of(SourceKind::Redis), "connection", "is missing"),
        (question(SourceKind::Redis), "connection", "\"here\" is not in the server's settings"),
        (at(SourceKind::HttpJson, "file:///etc/passwd"), "url", "scheme"),
        (at(SourceKind::HttpJson, "redis://example.com"), "url", "scheme"),
        (at(SourceKind::Redis, "http://example.com"), "url", "scheme"),
        (at(SourceKind::HttpJson, "http://a:b@example.com"), "url", "user or password"),
        (at(SourceKind::HttpJson, "http://10.1.2.3"), "url", "private network"),
        (at(SourceKind::Redis, "redis://example.com/first"), "url", "no number"),
        (at(SourceKind::Redis, "redis://example.com/1?db=2"), "url", "two databases"),
        (at(SourceKind::Postgresql, "postgres://example.com/db"), "url", "administrator"),
    ] {
        let error = sources.check(&spec).expect_err(said);
        assert_eq!(error.field, field, "{error}");
        assert!(error.message.contains(said) && !error.accepted.is_empty(), "{error}");
    }
    for (kind, url) in [
        (SourceKind::Prometheus, "https://prometheus.example/prefix"),
        (SourceKind::HttpJson, "http://8.8.8.8:8080/a?b=c"),
        (SourceKind::Redis, "rediss://redis.example/2"),
    ] {
        sources.check(&at(kind, url)).expect(url);
    }
}

#[tokio::test]
async fn a_webhook_is_posted_by_the_same_rules() {
    let server = Hostile::http("202 Accepted", &[], "{\"ok\":true}");
    let url = format!("http://hook.example:{}/scale", server.port());
    let client = |allow_private, answers: &[&[IpAddr]]| {
        GuardedClient::new(Guard::with_names(allow_private, Rebinding::with(answers)))
    };
    let post = |client: GuardedClient, url: String, limit| async move {
        client.post_json(&url, &[("idempotency-key", "k-1")], b"{\"replicas\":3}".to_vec(), limit).await
    };
    let reply = post(client(true, &[&[LOOPBACK]]), url.clone(), 20 * SECOND).await.expect("allowed");
    assert_eq!((reply.status, reply.is_success(), &*reply.body), (202, true, b"{\"ok\":true}".as_slice()));
    let heard = server.heard();
    for part in ["POST /scale HTTP/1.1", "content-type: application/json", "idempotency-key: k-1", "{\"replicas\":3}"] {
        assert!(heard.contains(part), "{part} in {heard}");
    }
    for (answers, url) in [
        (&[&[LOOPBACK][..]][..], url.as_str()),
        (&[&[PUBLIC]], &server.url("http")),
        (&[&[PUBLIC]], "file:///etc/passwd"),
        (&[&[PUBLIC]], "http://user@hook.example/"),
    ] {
        let refused = post(client(false, answers), url.to_owned(), 20 * SECOND).await;
        assert!(matches!(refused, Err(CallError::Refused(_))), "{url}: {refused:?}");
    }
    assert_eq!(server.connections(), 1);
    let elsewhere = Hostile::start(Deed::Hang);
    let location = format!("Location: {}", elsewhere.url("http"));
    let redirects = Hostile::http("307 Temporary Redirect", &[&location], "");
    let reply = post(client(true, &[]), redirects.url("http"), 20 * SECOND).await.expect("an answer");
    assert_eq!((reply.status, elsewhere.connections()), (307, 0));
    let late = post(client(true, &[]), elsewhere.url("http"), SECOND / 4).await;
    assert_eq!(late, Err(CallError::Late(SECOND / 4)));
    drop(elsewhere);
    let away = post(client(true, &[]), "http://127.0.0.1:1/".to_owned(), 20 * SECOND).await;
    assert!(matches!(&away, Err(CallError::Failed(reason)) if reason.contains("cannot connect")), "{away:?}");
}
