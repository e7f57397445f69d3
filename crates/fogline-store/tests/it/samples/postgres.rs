//! Samples in PostgreSQL: tables of their own, which a crash empties and nothing else needs.

use fogline_store::{OpenError, SampleStore, SamplesConfig, StoreConfig, StoreError};
use fogline_testbed::Postgres;

use super::{SECOND, bucket, open, point, range};
use crate::backend::Backend;

fn config(url: &str) -> SamplesConfig {
    SamplesConfig::beside(&StoreConfig::from_url(url).expect("a URL"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_server_takes_them_and_nothing_else() {
    let made = tokio::task::spawn_blocking(|| {
        let server = Postgres::start();
        let database = server.database();
        (server, database)
    });
    let (server, database) = made.await.expect("PostgreSQL starts");
    let store = SampleStore::open(&config(&database.url())).await.expect("opens");
    store.append(&[point(0.0, 1.0)]).await.expect("adds");
    let server = tokio::task::spawn_blocking(move || {
        server.kill();
        server
    });
    let server = server.await.expect("is killed");
    let error = store.append(&[point(10.0, 1.0)]).await.expect_err("there is no server");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let restarted = tokio::task::spawn_blocking(move || {
        server.restart();
        server
    });
    let _server = restarted.await.expect("starts again");
    // The same store goes on.
    assert_eq!(range(&store, "a", 0.0, 60.0, SECOND).await, []);
    store.append(&[point(20.0, 3.0)]).await.expect("adds");
    assert_eq!(range(&store, "a", 0.0, 60.0, SECOND).await, [bucket(20.0, 3.0, 3.0, 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_at_once_make_them_once() {
    let backend = Backend::postgres().await;
    let (one, two, three) = tokio::join!(open(&backend), open(&backend), open(&backend));
    one.append(&[point(0.0, 1.0)]).await.expect("adds");
    two.append(&[point(0.0, 2.0)]).await.expect("adds");
    assert_eq!(range(&three, "a", 0.0, 60.0, SECOND).await, [bucket(0.0, 2.0, 2.0, 1)]);
    let unlogged =
        "SELECT count(*) FROM pg_class WHERE relname IN ('sample_fine', 'sample_coarse') AND relpersistence = 'u'";
    assert_eq!(backend.sql(unlogged).await.expect("reads"), [["2"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_another_form_are_made_anew() {
    let backend = Backend::postgres().await;
    open(&backend).await.append(&[point(0.0, 1.0)]).await.expect("adds");
    backend.sql("UPDATE sample_schema SET version = 99").await.expect("writes");
    backend.sql("ALTER TABLE sample_fine DROP COLUMN last_at").await.expect("writes");
    let store = open(&backend).await;
    assert_eq!(range(&store, "a", 0.0, 60.0, SECOND).await, []);
    store.append(&[point(0.0, 1.0)]).await.expect("adds");
    assert_eq!(range(&open(&backend).await, "a", 0.0, 60.0, SECOND).await.len(), 1, "and those of this form are kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_an_error() {
    let error = SampleStore::open(&config("postgres://ada:hunter2@127.0.0.1:1/fogline")).await.expect_err("nobody");
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1") && !error.to_string().contains("hunter2"), "{error}");
}
