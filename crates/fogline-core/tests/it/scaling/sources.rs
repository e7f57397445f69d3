//! Metrics of a policy's own, and where changes are posted to: what is accepted, and what is refused with which words.

use fogline_core::id::PolicyId;
use fogline_core::scaling::Policy;
use fogline_core::scaling::policy::{Question, Server};
use uuid::Uuid;

use super::stage::{policy, spec};

fn errors(yaml: &str) -> Vec<String> {
    match Policy::new(PolicyId::from_uuid(Uuid::from_u128(1)), spec(yaml)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

fn metric(rest: &str) -> Vec<String> {
    errors(&format!("metrics: {{lag: {{{rest}}}}}\n"))
}

#[test]
fn each_kind_of_source_is_accepted_with_what_it_needs() {
    for rest in [
        "source: prometheus, query: up",
        "source: prometheus, url: \"https://prometheus.example:9090/prom\", query: up, range: 5m, aggregate: sum",
        "source: prometheus, connection: main, query: up, interval: 1s, timeout: 100ms",
        "source: http_json, url: \"http://queue/stats?queue=a&x=1\"",
        "source: http_json, connection: queue, pointer: /queue/0/a~1b",
        "source: postgresql, connection: db, query: SELECT count(*) FROM jobs",
        "source: redis, url: \"redis://[2001:db8::1]:6379/0\", key: jobs",
        "source: redis, url: \"rediss://cache:6380\", key: jobs, interval: 1h, timeout: 60s",
    ] {
        assert_eq!(metric(rest), [""; 0], "{rest}");
    }
    let policy = policy(1, "metrics: {lag: {source: prometheus, query: up, range: 5m}}\n");
    let lag = &policy.spec().metrics["lag"];
    assert_eq!(lag.server(), Server::Default);
    assert!(matches!(lag.question(), Some(Question::Prometheus { query: "up", .. })));
}

#[test]
fn what_is_missing_foreign_or_out_of_range_is_named() {
    for (rest, parts) in [
        ("source: prometheus", &["metrics.lag.query: is missing"][..]),
        ("source: prometheus, query: \" \"", &["metrics.lag.query: is empty"]),
        ("source: prometheus, query: up, key: a", &["metrics.lag.key: means nothing to a source prometheus"]),
        ("source: prometheus, query: up, pointer: /a", &["metrics.lag.pointer: means nothing"]),
        ("source: http_json", &["metrics.lag.connection: is missing, and so is url"]),
        (
            "source: http_json, connection: a, query: b, range: 1m, aggregate: avg",
            &["metrics.lag.query: means nothing", "metrics.lag.range", "metrics.lag.aggregate"],
        ),
        ("source: http_json, connection: a, pointer: a/b", &["metrics.lag.pointer: \"a/b\" is no JSON pointer"]),
        ("source: http_json, connection: a, pointer: /a~2", &["metrics.lag.pointer: \"/a~2\" is no JSON pointer"]),
        (
            "source: postgresql, query: SELECT 1",
            &["metrics.lag.connection: is missing, and so is url: nothing says which postgresql server to ask"],
        ),
        ("source: postgresql, connection: db", &["metrics.lag.query: is missing"]),
        (
            "source: postgresql, url: \"postgres://db.example/app\", query: SELECT 1",
            &["metrics.lag.url: is set, but PostgreSQL is asked only where an administrator has set it up; accepted: \
               connection: the name of one in the settings"],
        ),
        ("source: redis, connection: cache", &["metrics.lag.key: is missing"]),
        (
            "source: redis, connection: cache, key: a, url: \"redis://cache\"",
            &["metrics.lag.url: is set, and so is connection; accepted: one of the two"],
        ),
        ("source: redis, connection: a b, key: a", &["metrics.lag.connection: \"a b\" is no name"]),
        (
            "source: prometheus, query: up, range: 5s",
            &["metrics.lag.range: 5s is out of range; accepted: 10 s to 1 day"],
        ),
        ("source: prometheus, query: up, interval: 500ms", &["metrics.lag.interval: 500ms", "1 s to 1 h"]),
        ("source: prometheus, query: up, timeout: 61s", &["metrics.lag.timeout: 1m1s", "100 ms to 60 s"]),
    ] {
        let errors = metric(rest);
        for part in parts {
            assert!(errors.iter().any(|error| error.contains(part)), "{rest}: no {part:?} in {errors:?}");
        }
    }
    let many: Vec<String> = (0..33).map(|n| format!("m{n}: {{source: prometheus, query: up}}")).collect();
    let errors = errors(&format!("metrics: {{{}}}\n", many.join(", ")));
    assert_eq!(errors, ["metrics: 33 are too many; accepted: at most 32"]);
}

#[test]
fn an_address_is_plain_and_without_credentials() {
    let address = |source: &str, url: &str| metric(&format!("source: {source}, query: up, url: {url:?}"));
    for url in [
        "ftp://host/",
        "host/path",
        "//host",
        "http://",
        "http:///path",
        "http://host:0/",
        "http://host:65536/",
        "http://host:80:80/",
        "http://ho st/",
        "http://[::1/",
        "http://[host]/",
        "http://host\\@evil/",
        "http://höst/",
        "http://host/#part",
        "postgres://host/db",
    ] {
        let errors = address("prometheus", url);
        assert!(errors.iter().any(|error| error.starts_with("metrics.lag.url: ")), "{url}: {errors:?}");
    }
    for (source, url) in [
        ("prometheus", "https://ann:secret@host/"),
        ("prometheus", "http://ann@host"),
        ("redis", "redis://ann:secret@cache/1"),
    ] {
        let errors = address(source, url).join("; ");
        assert!(errors.contains("put them into a connection"), "{url}: {errors}");
        assert!(!errors.contains("secret"), "what was secret is not repeated: {errors}");
    }
    let errors = address("postgresql", "postgres://ann:secret@db/app").join("; ");
    assert!(errors.contains("metrics.lag.url: is set") && !errors.contains("secret"), "{errors}");
    for parameter in ["host=10.0.0.1", "hostaddr=10.0.0.1", "password=x", "db=1&user=postgres"] {
        let errors = address("redis", &format!("redis://cache/?{parameter}")).join("; ");
        assert!(errors.contains("has the parameter") && errors.contains("a connection"), "{parameter}: {errors}");
    }
}

#[test]
fn a_callback_is_for_targets_that_are_no_deployment() {
    let url = "callback_url: https://hooks.example/scale\n";
    assert_eq!(errors(&format!("target_type: proxy\n{url}")), [""; 0]);
    assert!(
        errors(&format!("target_type: deployment\n{url}"))[0].starts_with("callback_url: is set, but a deployment")
    );
    for bad in ["redis://hooks", "https://ann:secret@hooks/", "mailto:ann"] {
        let errors = errors(&format!("target_type: webhook\ncallback_url: \"{bad}\"\n"));
        assert!(errors[0].starts_with("callback_url: "), "{bad}: {errors:?}");
    }
}
