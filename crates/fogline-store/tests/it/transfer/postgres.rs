//! Restoring into PostgreSQL: one transaction, tables and all, and nobody else at work there.

use std::time::Duration;

use fogline_core::cluster::Changes;
use fogline_store::{Backup, Candidate, CommitError, Restore, StoreConfig, TransferError};

use super::backup;
use crate::backend::Backend;
use crate::world::{World, lead};

const REPLACE: Restore = Restore { replace: true, epoch_above: None, forget_keys: false };

async fn sample() -> (World, Backup) {
    let backend = Backend::sqlite().await;
    let world = World::new(backend.open().await).await;
    let (_, file) = backup(&backend.config(), &[]).await;
    (world, Backup::open(file).await.expect("is whole"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_led_is_refused_until_the_lease_is_over() {
    let (world, whole) = sample().await;
    let to = Backend::postgres().await;
    let store = to.open().await;
    let mut candidate = Candidate::new("there", Duration::from_secs(600));
    candidate.http_address = "10.0.0.7:8000".to_owned();
    let lease = store.take_over(&candidate).await.expect("answers").won().expect("won");
    for how in [Restore::default(), REPLACE] {
        let error = whole.restore(&to.config(), &how).await.expect_err("refused");
        assert!(matches!(error, TransferError::InUse { .. }), "{error}");
        assert!(error.to_string().contains("at 10.0.0.7:8000"), "{error}");
    }
    store.commit(&lease, &Changes::default()).await.expect("it leads as before");
    store.release(&lease).await.expect("gives it back");

    let error = whole.restore(&to.config(), &Restore::default()).await.expect_err("refused");
    assert!(matches!(error, TransferError::NotEmpty { .. }), "{error}");
    assert!(error.to_string().contains("leader"), "{error}");
    let restored = whole.restore(&to.config(), &REPLACE).await.expect("restores");
    // Whoever led before leads no more, and says so.
    let stale = store.commit(&lease, &Changes::default()).await;
    assert!(matches!(stale, Err(CommitError::Fenced)), "{stale:?}");
    assert_eq!(lead(&store, "next").await.epoch, restored.epoch + 1);
    assert_eq!(store.load().await.expect("loads").users, [world.user]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_rows_or_tables_is_filled() {
    let (_, whole) = sample().await;
    let (bare, migrated) = (Backend::postgres().await, Backend::postgres().await);
    migrated.open().await.close().await;
    for to in [bare, migrated] {
        let restored = whole.restore(&to.config(), &Restore::default()).await.expect("restores");
        // A copy that is promoted now is told apart from what was restored.
        assert_eq!(to.sql("SELECT timeline FROM leader").await.expect("reads"), [["1"]]);
        assert_eq!(lead(&to.open().await, "next").await.epoch, restored.epoch + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_half_way_leaves_what_was_there() {
    // Whole by its checksums, and refused by the database near its end.
    let from = Backend::sqlite().await;
    let world = World::new(from.open().await).await;
    world.store.close().await;
    from.damage("DELETE FROM nodes").await;
    let (_, file) = backup(&from.config(), &[]).await;
    let whole = Backup::open(file).await.expect("is whole");
    let (empty, filled) = (Backend::postgres().await, Backend::postgres().await);
    let error = whole.restore(&empty.config(), &Restore::default()).await.expect_err("refused");
    assert!(matches!(error, TransferError::Store(_)) && error.to_string().contains("foreign key"), "{error}");
    assert!(empty.everything().await.is_empty(), "not even a table was made");

    let other = World::new(filled.open().await).await;
    other.store.release(&other.lease).await.expect("gives it back");
    let before = backup(&filled.config(), &[]).await.0.tables;
    whole.restore(&filled.config(), &REPLACE).await.expect_err("refused");
    assert_eq!(backup(&filled.config(), &[]).await.0.tables, before);
    assert_eq!(lead(&other.store, "again").await.epoch, other.lease.epoch + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_or_is_newer_is_said() {
    let (_, whole) = sample().await;
    let closed = StoreConfig::from_url("postgres://nobody:secret@127.0.0.1:9/fogline").expect("a URL");
    let error = whole.restore(&closed, &Restore::default()).await.expect_err("nobody is there").to_string();
    assert!(error.contains("127.0.0.1:9") && !error.contains("secret"), "{error}");
    let to = Backend::postgres().await;
    to.open().await.close().await;
    let newer = "INSERT INTO schema_migrations (version, description, success, checksum, execution_time) \
        VALUES (99, 'later', true, '', 0)";
    to.sql(newer).await.expect("is written");
    let error = whole.restore(&to.config(), &REPLACE).await.expect_err("refused").to_string();
    assert!(error.contains("migration 99") && error.contains("newer"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_out_different_is_taken_back() {
    // A database that keeps something else than it was given: what only reading again can find.
    let (_, whole) = sample().await;
    let to = Backend::postgres().await;
    let meddle = "CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
        IF EXISTS (SELECT 1 FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.users') THEN \
        EXECUTE 'CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS \
            ''BEGIN NEW.username := upper(NEW.username); RETURN NEW; END''; \
            CREATE TRIGGER shout BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION shout()'; \
        END IF; END $$; \
        CREATE EVENT TRIGGER meddle ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION meddle()";
    let Backend::Postgres { database, _cluster: cluster } = &to else { panic!("it is PostgreSQL") };
    // Blocks for as long as psql takes.
    tokio::task::block_in_place(|| cluster.sql_in(database.name(), meddle));
    let error = whole.restore(&to.config(), &Restore::default()).await.expect_err("noticed");
    assert!(matches!(error, TransferError::Different { .. }) && error.to_string().contains("users"), "{error}");
    assert_eq!(to.sql("SELECT to_regclass('users') IS NULL").await.expect("reads").concat(), ["t"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_postgres_cannot_hold_is_refused_with_its_reason() {
    let from = Backend::sqlite().await;
    World::new(from.open().await).await;
    from.damage("UPDATE nodes SET zone = 'a' || char(0) || 'b'").await;
    let (_, file) = backup(&from.config(), &[]).await;
    let whole = Backup::open(file).await.expect("is whole");
    let error = whole.restore(&Backend::postgres().await.config(), &Restore::default()).await.expect_err("refused");
    assert!(matches!(error, TransferError::Store(_)), "{error}");
    whole.restore(&Backend::sqlite().await.config(), &Restore::default()).await.expect("SQLite holds it");
}
