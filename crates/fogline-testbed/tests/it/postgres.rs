//! PostgreSQL: started, killed, restarted, copied, promoted.

use fogline_testbed::Postgres;

#[test]
fn what_was_committed_outlives_a_kill_and_a_stop() {
    let postgres = Postgres::start();
    let database = postgres.database();
    database.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    let address = postgres.addr();
    postgres.kill();
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens after a kill");
    postgres.restart();
    assert!(postgres.log().contains("not properly shut down"), "it was killed, not stopped:\n{}", postgres.log());
    database.sql("INSERT INTO t VALUES (2)");
    postgres.stop();
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens after a stop");
    postgres.restart();
    assert_eq!(postgres.addr(), address);
    assert_eq!(database.sql("SELECT sum(n) FROM t"), "3");
}

#[test]
fn databases_are_apart_and_go_with_their_value() {
    let postgres = Postgres::shared();
    let (one, other) = (postgres.database(), postgres.database());
    one.sql("CREATE TABLE t (n int)");
    assert_eq!(other.sql("SELECT count(*) FROM pg_tables WHERE tablename = 't'"), "0");
    let name = one.name().to_owned();
    let there = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(postgres.sql(&there), "1");
    drop(one);
    assert_eq!(postgres.sql(&there), "0");
    assert_eq!(postgres.sql(&format!("SELECT count(*) FROM pg_roles WHERE rolname = '{name}'")), "0");
}

#[test]
fn a_standby_follows_and_a_paused_one_is_promoted_without_what_came_later() {
    let primary = Postgres::start();
    let database = primary.database();
    database.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    let standby = primary.standby();
    let count = |postgres: &Postgres| {
        let count = "SELECT string_agg(n::text, ',' ORDER BY n) FROM t";
        postgres.sql_in(database.name(), count)
    };
    database.sql("INSERT INTO t VALUES (2)");
    standby.catch_up_with(&primary);
    assert_eq!(count(&standby), "1,2");

    standby.pause_replication();
    database.sql("INSERT INTO t VALUES (3)");
    standby.promote();
    assert_eq!(count(&standby), "1,2");
    assert_eq!(count(&primary), "1,2,3");
    standby.sql_in(database.name(), "INSERT INTO t VALUES (4)");
    let timeline = |postgres: &Postgres| postgres.sql("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)");
    assert_eq!((timeline(&primary).as_str(), timeline(&standby).as_str()), ("00000001", "00000002"));
}

#[test]
fn a_standby_that_was_paused_follows_again() {
    let primary = Postgres::start();
    let standby = primary.standby();
    standby.pause_replication();
    let database = primary.database();
    standby.resume_replication();
    standby.catch_up_with(&primary);
    assert_eq!(standby.sql_in(database.name(), "SELECT 1"), "1");
}

#[test]
fn with_tls_only_encrypted_connections_are_accepted() {
    let postgres = Postgres::start_with_tls();
    let database = postgres.database();
    let said = postgres.connect(&database.url(), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    assert_eq!(said.as_deref(), Ok("t"), "{}", postgres.log());
    let plain = database.url().replace("verify-full", "disable");
    let said = postgres.connect(&plain, "SELECT 1").expect_err("no encryption");
    assert!(said.contains("no encryption"), "{said}");
    let standby = postgres.standby();
    let there = database.url_at(standby.addr());
    standby.catch_up_with(&postgres);
    assert_eq!(standby.connect(&there, "SELECT 1").as_deref(), Ok("1"));
}
