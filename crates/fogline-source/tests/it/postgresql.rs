//! What only PostgreSQL can do: types, sessions, transactions, statements.

use std::sync::Arc;
use std::time::Duration;

use fogline_core::scaling::policy::{MetricSpec, SourceKind, Span};
use fogline_source::{Connection, Credentials, Sources, SourcesConfig};
use fogline_testbed::patience::wait_for;
use fogline_testbed::{Database, Postgres};

use crate::setup::{Files, SHORT, ask, connected, question, question_at, reason, value};

struct Rig {
    sources: Sources,
    database: Database,
    postgres: Arc<Postgres>,
    _files: Files,
}

impl Rig {
    fn new() -> Self {
        let (postgres, files) = (Postgres::shared(), Files::new());
        let database = postgres.database();
        let mut connection =
            Connection::new(SourceKind::Postgresql, format!("postgres://{}/{}", postgres.addr(), database.name()));
        connection.credentials = files.password(Some(database.name()), &database.password());
        connection.allow_sql = true;
        Self { sources: connected(connection), database, postgres, _files: files }
    }

    async fn ask(&self, query: &str) -> fogline_source::Answer {
        ask(&self.sources, &asking(query)).await
    }

    /// How many connections the sources have.
    fn connections(&self) -> String {
        self.postgres.sql(&format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", self.database.name()))
    }
}

fn asking(query: &str) -> MetricSpec {
    MetricSpec { query: Some(query.to_owned()), ..question(SourceKind::Postgresql) }
}

#[tokio::test]
async fn every_type_of_a_number_is_one() {
    let rig = Rig::new();
    for (query, expected) in [
        ("SELECT 1::int2", 1.0),
        ("SELECT -2::int4", -2.0),
        ("SELECT 9007199254740993::int8", 9_007_199_254_740_992.0),
        ("SELECT 0.5::float4", 0.5),
        ("SELECT 0.1::float8", 0.1),
        ("SELECT 0.1::numeric", 0.1),
        ("SELECT -12345678901234567890.123456789::numeric", -12_345_678_901_234_567_890.123_456_789),
        ("SELECT 1e-30::numeric", 1e-30),
        ("SELECT 1e290::numeric", 1e290),
        ("SELECT 3.14159265358979323846264338327950288::numeric", std::f64::consts::PI),
        ("SELECT 0::numeric", 0.0),
        ("SELECT 10000::numeric", 10_000.0),
        ("SELECT avg(n) FROM generate_series(1, 4) n", 2.5),
        ("SELECT sum(n::bigint) FROM generate_series(1, 1000) n;", 500_500.0),
        ("SELECT extract(epoch FROM interval '90 seconds')", 90.0),
        ("WITH a AS (SELECT 5 AS n) SELECT n FROM a", 5.0),
        ("VALUES (6)", 6.0),
    ] {
        assert_eq!(value(&rig.ask(query).await), expected, "{query}");
    }
    for query in ["SELECT 1e291::numeric", "SELECT -1e300::float8"] {
        assert!(reason(&rig.ask(query).await).contains("too large to reckon with"), "{query}");
    }
    rig.database.sql("CREATE DOMAIN percent AS int CHECK (VALUE <= 100)");
    assert_eq!(value(&rig.ask("SELECT 42::percent").await), 42.0);
}

#[tokio::test]
async fn a_query_changes_nothing() {
    let rig = Rig::new();
    let (name, database) = (rig.database.name(), &rig.database);
    database.sql(&format!("CREATE TABLE t (n int); ALTER TABLE t OWNER TO {name}; INSERT INTO t VALUES (1)"));
    database.sql(&format!("CREATE SEQUENCE s; ALTER SEQUENCE s OWNER TO {name}"));
    // Which is let through by a transaction that may not write, and ends with it.
    rig.ask("SELECT lo_create(4711)::int").await;
    assert_eq!(database.sql("SELECT count(*) FROM pg_largeobject_metadata"), "0");
    for query in [
        "DELETE FROM t RETURNING n",
        "INSERT INTO t VALUES (2) RETURNING n",
        "WITH gone AS (DELETE FROM t RETURNING n) SELECT n FROM gone",
        "UPDATE t SET n = 3 RETURNING n",
        "SELECT n FROM t FOR UPDATE",
        "SELECT nextval('s')",
        "SELECT 1; DELETE FROM t",
        "COMMIT",
        "ROLLBACK; DELETE FROM t",
        "DROP TABLE t",
        "COPY t TO PROGRAM 'touch /tmp/never'",
        "DO $$ BEGIN DELETE FROM t; END $$",
        "",
        "-- nothing",
    ] {
        assert!(!reason(&rig.ask(query).await).is_empty(), "{query}");
    }
    assert_eq!(database.sql("SELECT sum(n) FROM t"), "1");
}

#[tokio::test]
async fn only_queries_of_the_connection_are_asked_where_sql_is_not_allowed() {
    let (postgres, files) = (Postgres::shared(), Files::new());
    let database = postgres.database();
    let mut connection =
        Connection::new(SourceKind::Postgresql, format!("postgres://{}/{}", postgres.addr(), database.name()));
    connection.credentials = files.password(Some(database.name()), &database.password());
    let none = connected(connection.clone()).check(&asking("seven")).expect_err("there is none");
    assert!(none.accepted.contains("an administrator"), "{none:?}");
    connection.queries = [("seven", "SELECT 7"), ("eight", "SELECT 8")].map(|(k, v)| (k.into(), v.into())).into();
    let sources = connected(connection.clone());
    sources.check(&asking("seven")).expect("it is one");
    assert_eq!(value(&ask(&sources, &asking("seven")).await), 7.0);
    for query in ["SELECT 7", "SELECT 8", "nine", "Seven", ""] {
        let refused = sources.check(&asking(query)).expect_err(query);
        assert_eq!((&*refused.field, &*refused.accepted), ("query", "the name of one: eight, seven"));
        // Neither of a policy that was written when it was allowed.
        let answer = ask(&sources, &asking(query)).await;
        assert!(reason(&answer).contains("takes no SQL"), "{answer:?}");
    }
    connection.allow_sql = true;
    let sources = connected(connection);
    for (query, expected) in [("eight", 8.0), ("SELECT 9", 9.0)] {
        sources.check(&asking(query)).expect(query);
        assert_eq!(value(&ask(&sources, &asking(query)).await), expected);
    }
}

#[tokio::test]
async fn what_an_error_quotes_is_not_shown() {
    let rig = Rig::new();
    rig.database.sql("CREATE TABLE t (secret text); INSERT INTO t VALUES ('canary-77aa'); GRANT SELECT ON t TO PUBLIC");
    for (query, told) in [
        (
            "SELECT (SELECT secret FROM t)::int",
            "connection here: the query failed (22P02, invalid text representation)",
        ),
        ("SELECT length(set_config((SELECT secret FROM t), '', true))", "connection here: the query failed (42"),
        ("SELECT canary_77aa", "connection here: the query failed (42703, undefined column)"),
    ] {
        let answer = rig.ask(query).await;
        assert!(reason(&answer).starts_with(told), "{answer:?}");
        assert!(!reason(&answer).contains("canary"), "{answer:?}");
    }
    let answer = rig.ask("SELECT (repeat('x', 50000000))::int").await;
    assert_eq!(reason(&answer), "connection here: the query failed (22P02, invalid text representation)");
}

#[tokio::test]
async fn what_a_query_does_to_its_session_is_gone_with_it() {
    let rig = Rig::new();
    for query in [
        "SELECT length(set_config('statement_timeout', '0', false))",
        "SELECT length(set_config('default_transaction_read_only', 'off', false))",
        "SELECT length(set_config('search_path', 'nowhere', false))",
        "SELECT 1 FROM pg_advisory_lock(4711)",
    ] {
        assert!(value(&rig.ask(query).await) >= 0.0, "{query}");
    }
    assert_eq!(rig.postgres.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711"), "0");
    assert_eq!(
        value(&rig.ask("SELECT count(*) FROM pg_prepared_statements WHERE statement NOT LIKE '%pg_prepared%'").await),
        0.0
    );
    let path = "SELECT (current_setting('search_path') = 'nowhere')::int + (current_setting('transaction_read_only') = 'off')::int";
    assert_eq!(value(&rig.ask(path).await), 0.0);
}

#[tokio::test]
async fn what_would_flood_is_not_asked_for() {
    let rig = Rig::new();
    let answer = rig.ask("SELECT repeat('x', 500000000)").await;
    assert!(reason(&answer).contains("gives TEXT, which is no number"), "{answer:?}");
    let answer = rig.ask("SELECT generate_series(1, 1000000000)").await;
    assert!(reason(&answer).contains("several rows"), "{answer:?}");
    assert_eq!(value(&rig.ask("SELECT 1").await), 1.0);
}

#[tokio::test]
async fn a_slow_query_is_ended_there_too() {
    let rig = Rig::new();
    let spec = MetricSpec { timeout: Span(SHORT), ..asking("SELECT 1 FROM pg_sleep(3600)") };
    let answer = ask(&rig.sources, &spec).await;
    let told = reason(&answer);
    assert!(told.contains("no answer within 400ms") || told.contains("statement timeout"), "{answer:?}");
    let name = rig.database.name();
    wait_for("the server to end the query", || {
        let running = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = '{name}' AND query LIKE '%pg_sleep%' AND state = 'active'"
        );
        (rig.postgres.sql(&running) == "0").then_some(())
    });
    assert_eq!(value(&rig.ask("SELECT 1").await), 1.0);
}

#[tokio::test]
async fn connections_are_few_and_used_again() {
    let rig = Rig::new();
    let first = value(&rig.ask("SELECT pg_backend_pid()").await);
    assert_eq!(value(&rig.ask("SELECT pg_backend_pid()").await), first);
    let specs: Vec<_> = (0..40).map(|_| asking("SELECT 1 FROM pg_sleep(0.02)")).collect();
    let asked: Vec<_> = specs.iter().map(|spec| ask(&rig.sources, spec)).collect();
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(value(&answer), 1.0);
    }
    let count: u32 = rig.connections().parse().expect("a number");
    assert!((1..=4).contains(&count), "{count} connections");
}

#[tokio::test]
async fn a_changed_password_counts_at_once() {
    let (postgres, files) = (Postgres::shared(), Files::new());
    let database = postgres.database();
    let file = files.secret("wrong");
    let mut connection =
        Connection::new(SourceKind::Postgresql, format!("postgres://{}/{}", postgres.addr(), database.name()));
    connection.credentials =
        Credentials::Password { username: Some(database.name().to_owned()), password_file: Some(file.clone()) };
    connection.allow_sql = true;
    let sources = connected(connection);
    assert!(reason(&ask(&sources, &asking("SELECT 1")).await).contains("password authentication failed"));
    std::fs::write(&file, database.password()).expect("written");
    assert_eq!(value(&ask(&sources, &asking("SELECT 1")).await), 1.0);
    // Not even by a connection that is still open.
    std::fs::write(&file, "wrong again").expect("written");
    assert!(reason(&ask(&sources, &asking("SELECT 1")).await).contains("password authentication failed"));
}

#[tokio::test]
async fn a_plain_url_is_refused_whatever_is_allowed() {
    let postgres = Postgres::shared();
    let config = SourcesConfig { allow_private: true, ..SourcesConfig::default() };
    let sources = Sources::new(&config).expect("nothing to go wrong");
    let spec = MetricSpec {
        query: Some("SELECT 1".to_owned()),
        timeout: Span(Duration::from_secs(5)),
        ..question_at(SourceKind::Postgresql, format!("postgres://{}/postgres", postgres.addr()))
    };
    assert_eq!(sources.check(&spec).expect_err("refused").field, "url");
    assert!(reason(&ask(&sources, &spec).await).contains("only where an administrator has set it up"));
}
