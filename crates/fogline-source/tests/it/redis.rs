//! What only Redis can do: lists and streams, databases, types.

use fogline_core::scaling::policy::{MetricSpec, SourceKind};
use fogline_source::{Connection, Sources, SourcesConfig};
use fogline_testbed::Redis;

use crate::hostile::Hostile;
use crate::setup::{ask, connected, open, question, question_at, reason, value};

fn asking(key: &str) -> MetricSpec {
    MetricSpec { key: Some(key.to_owned()), ..question(SourceKind::Redis) }
}

#[tokio::test]
async fn lists_and_streams_have_lengths_and_nothing_else_has() {
    let redis = Redis::start();
    let sources = connected(Connection::new(SourceKind::Redis, redis.url()));
    redis.run(&["RPUSH", "list", "a", "b"]);
    for n in ["1", "2", "3"] {
        redis.run(&["XADD", "stream", "*", "n", n]);
    }
    assert_eq!(value(&ask(&sources, &asking("list")).await), 2.0);
    assert_eq!(value(&ask(&sources, &asking("stream")).await), 3.0);
    // A stream stays when it is empty; a list does not, and is empty all the same.
    redis.run(&["XTRIM", "stream", "MAXLEN", "0"]);
    assert_eq!(value(&ask(&sources, &asking("stream")).await), 0.0);
    redis.run(&["LTRIM", "list", "1", "0"]);
    assert_eq!(value(&ask(&sources, &asking("list")).await), 0.0);
    redis.run(&["HSET", "hash", "a", "1"]);
    redis.run(&["SADD", "set", "a"]);
    redis.run(&["SET", "number", "7"]);
    for (key, kind) in [("hash", "hash"), ("set", "set"), ("number", "string")] {
        let answer = ask(&sources, &asking(key)).await;
        assert_eq!(reason(&answer), format!("connection here: the key holds a {kind}; accepted: a list or a stream"));
    }
}

#[tokio::test]
async fn a_key_is_a_key_whatever_is_in_it() {
    let redis = Redis::start();
    let sources = connected(Connection::new(SourceKind::Redis, redis.url()));
    let key = "a b\r\nFLUSHALL\r\n\u{0}ä$5";
    assert_eq!(value(&ask(&sources, &asking(key)).await), 0.0);
    redis.run(&["RPUSH", "kept", "1"]);
    assert_eq!(value(&ask(&sources, &asking(key)).await), 0.0);
    assert_eq!(value(&ask(&sources, &asking("kept")).await), 1.0);
}

#[tokio::test]
async fn a_url_names_the_database() {
    let redis = Redis::start();
    redis.run(&["-n", "3", "RPUSH", "list", "a"]);
    let sources = |url: String| connected(Connection::new(SourceKind::Redis, url));
    assert_eq!(value(&ask(&sources(format!("{}/3", redis.url())), &asking("list")).await), 1.0);
    assert_eq!(value(&ask(&sources(format!("{}?db=3", redis.url())), &asking("list")).await), 1.0);
    assert_eq!(value(&ask(&sources(redis.url()), &asking("list")).await), 0.0);
    let answer = ask(&sources(format!("{}/999", redis.url())), &asking("list")).await;
    assert!(reason(&answer).contains("out of range"), "{answer:?}");
    // A URL of a policy, where that is allowed.
    let spec = MetricSpec { connection: None, url: Some(format!("{}/3", redis.url())), ..asking("list") };
    assert_eq!(value(&ask(&open(), &spec).await), 1.0);
    let closed = Sources::new(&SourcesConfig::default()).expect("nothing to go wrong");
    assert!(reason(&ask(&closed, &spec).await).contains("may not be called"));
}

#[tokio::test]
async fn a_certificate_of_a_stranger_is_refused() {
    let redis = Redis::start_closed();
    let spec = MetricSpec { key: Some("k".to_owned()), ..question_at(SourceKind::Redis, redis.url()) };
    let answer = ask(&open(), &spec).await;
    assert!(reason(&answer).contains("cannot encrypt"), "{answer:?}");
}

#[tokio::test]
async fn a_length_that_is_none_is_refused() {
    let server = Hostile::start(crate::hostile::Deed::Say(b"+list\r\n:-5\r\n".to_vec()));
    let spec = MetricSpec { key: Some("k".to_owned()), ..question_at(SourceKind::Redis, server.url("redis")) };
    let answer = ask(&open(), &spec).await;
    assert!(reason(&answer).contains("no length") || reason(&answer).contains("127.0.0.1: "), "{answer:?}");
}
