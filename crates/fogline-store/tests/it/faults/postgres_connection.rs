//! What the network between a server and PostgreSQL may do: nothing that was acknowledged is lost, nothing is half there,
//! nothing lands after it was given up, and no wait is without an end.

use std::sync::Arc;
use std::time::Duration;

use fogline_core::cluster::Changes;
use fogline_store::{CommitError, OpenError, PageRequest, Store, StoreConfig, StoreError};
use fogline_testbed::Postgres;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use tokio::sync::watch;
use tokio::time::Instant;

use super::postgres::{Site, blocking, commit_when_back, count_after_reload, users};

const ROWS: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_cut_off_is_there_in_full_or_not_at_all() {
    let site = Site::shared().await;
    let mut world = site.world().await;
    let (mut lost, mut answered) = (0, 0);
    let batch = users(&mut world, "warm", ROWS);
    let started = Instant::now();
    world.commit(&batch).await;
    let usual = started.elapsed();
    for round in 0..25 {
        let name = format!("round-{round}");
        let batch = users(&mut world, &name, ROWS);
        let (store, lease) = (world.store.clone(), world.lease.clone());
        let commit = tokio::spawn(async move { store.commit(&lease, &batch).await });
        // Somewhere before, in the middle of, or after it, each time elsewhere.
        tokio::time::sleep(usual * round / 8).await;
        site.relay.cut();
        let result = commit.await.expect("does not panic");
        site.relay.pass();
        let there = count_after_reload(&world.store, &name).await;
        match result {
            Ok(_) => {
                answered += 1;
                assert_eq!(there, ROWS, "round {round}: it was acknowledged");
            }
            Err(CommitError::Unavailable { .. }) => assert_eq!(there, 0, "round {round}: nothing was sent"),
            Err(CommitError::Unknown { .. }) => {
                lost += 1;
                assert!(there == 0 || there == ROWS, "round {round}: {there} of {ROWS}");
            }
            Err(error) => panic!("round {round}: {error}"),
        }
        // What the load has seen is what there is for good.
        commit_when_back(&world.store, &world.lease, &Changes::default()).await;
        assert_eq!(count_after_reload(&world.store, &name).await, there, "round {round}");
    }
    assert!(lost > 0 && answered > 0, "{lost} lost, {answered} answered: the cuts miss what is tested");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_hangs_is_given_up_and_what_was_under_way_never_lands_late() {
    let site = Site::shared().await;
    let mut world = site.world().await;
    // Prepared, so that all of the next one is sent in one go.
    let batch = users(&mut world, "warm", 1);
    world.commit(&batch).await;
    let batch = users(&mut world, "late", ROWS);
    site.relay.hang();
    let started = Instant::now();
    let result = world.store.commit(&world.lease, &batch).await;
    assert!(matches!(result, Err(CommitError::Unknown { .. })), "{result:?}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    // Reads end too, and so does whoever writes next.
    let read = world.store.users(&PageRequest::default()).await;
    assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());

    // Another way to the same database, as when a route changes: the bytes are still in the old one.
    let direct = Store::open(&site.direct()).await.expect("opens");
    assert_eq!(count_after_reload(&direct, "late").await, 0);
    // The old one delivers what it held back, while the store looks what has become of it.
    site.relay.pass();
    let there = count_after_reload(&world.store, "late").await;
    assert!(there == 0 || there == ROWS, "{there} of {ROWS}");
    for _ in 0..20 {
        assert_eq!(count_after_reload(&direct, "late").await, there, "it landed after it was given up");
        commit_when_back(&world.store, &world.lease, &Changes::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_commit_that_is_delivered_after_a_later_one_writes_nothing() {
    let site = Site::shared().await;
    let mut world = site.world().await;
    let batch = users(&mut world, "warm", 1);
    world.commit(&batch).await;
    let batch = users(&mut world, "ghost", 3);
    // It keeps what it is given.
    site.relay.hang();
    let lost = world.store.commit(&world.lease, &batch).await;
    assert!(matches!(lost, Err(CommitError::Unknown { .. })), "{lost:?}");
    // The store goes on by another way: another store of the same holder stands for it.
    let direct = Store::open(&site.direct()).await.expect("opens");
    direct.commit(&world.lease, &Changes::default()).await.expect("the lease still holds");
    site.relay.pass();
    for _ in 0..20 {
        assert_eq!(count_after_reload(&direct, "ghost").await, 0, "what was given up has landed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_settled_on_a_copy_that_is_behind_hides_nothing() {
    let site = Site::shared().await;
    let mut world = site.world().await;
    let mut acknowledged = 0;
    for round in 0..3 {
        let batch = users(&mut world, &format!("kept-{round}"), 1);
        acknowledged = world.commit(&batch).await;
    }
    site.relay.cut();
    let lost = world.store.commit(&world.lease, &Changes::default()).await;
    assert!(matches!(lost, Err(CommitError::Unknown { .. })), "{lost:?}");
    // As on a copy that was promoted without the last two.
    let mut copy = PgConnection::connect(&site.database.url()).await.expect("connects");
    copy.execute("UPDATE leader SET revision = revision - 2").await.expect("goes back");
    site.relay.pass();
    count_after_reload(&world.store, "kept").await;
    for _ in 0..2 {
        let refused = world.store.commit(&world.lease, &Changes::default()).await;
        assert!(matches!(refused, Err(CommitError::Fenced)), "{refused:?}");
    }
    let found = world.store.incumbent().await.expect("answers").expect("leads").revision;
    assert_eq!(found, acknowledged - 2, "whoever looks sees that something is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_under_load_loses_nothing() {
    let site = Site::own().await;
    let mut world = site.world().await;
    let (store, lease) = (world.store.clone(), world.lease.clone());
    let (stop, stopped) = watch::channel(false);
    let reader = tokio::spawn({
        let store = store.clone();
        async move {
            let mut failures = 0;
            while !*stopped.borrow() {
                match store.users(&PageRequest::first(5)).await {
                    Ok(_) => {}
                    Err(StoreError::Unavailable { .. }) => failures += 1,
                    Err(error) => panic!("a read: {error}"),
                }
            }
            failures
        }
    });
    let mut acknowledged = Vec::new();
    for round in 0..6 {
        let cluster = Arc::clone(&site.cluster);
        let breaking = tokio::spawn(blocking(move || match round % 3 {
            0 => cluster.restart(),
            1 => {
                cluster.kill();
                cluster.restart();
            }
            _ => {
                cluster.stop();
                cluster.restart();
            }
        }));
        let mut batches = 0;
        while !breaking.is_finished() || batches < 3 {
            let name = format!("load-{round}-{batches}-");
            let batch = users(&mut world, &name, 20);
            match store.commit(&lease, &batch).await {
                Ok(_) => acknowledged.push(name),
                Err(CommitError::Unavailable { .. }) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(CommitError::Unknown { .. }) => {
                    let there = count_after_reload(&store, &name).await;
                    assert!(there == 0 || there == 20, "{there} of 20");
                }
                Err(error) => panic!("{error}"),
            }
            batches += 1;
        }
        breaking.await.expect("restarts");
    }
    commit_when_back(&store, &lease, &Changes::default()).await;
    let durable = store.load().await.expect("loads");
    for name in &acknowledged {
        let there = durable.users.iter().filter(|user| user.username.starts_with(name.as_str())).count();
        assert_eq!(there, 20, "{name} was acknowledged");
    }
    assert!(acknowledged.len() > 6, "{} batches got through", acknowledged.len());
    // The pool has found its way back by itself.
    stop.send(true).expect("the reader runs");
    let failures = reader.await.expect("the reader saw nothing but a database that was away");
    assert_eq!(store.users(&PageRequest::first(1)).await.expect("reads").items.len(), 1);
    println!("{} batches acknowledged, {failures} reads refused", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_said_at_once_and_nothing_was_written() {
    let site = Site::own().await;
    let mut world = site.world().await;
    let batch = users(&mut world, "away", 2);
    // Idle for a while first: that the connection died meanwhile must not look as if something had been lost.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let cluster = Arc::clone(&site.cluster);
    blocking(move || cluster.stop()).await;
    let started = Instant::now();
    let result = world.store.commit(&world.lease, &batch).await;
    let Err(CommitError::Unavailable { detail }) = result else { panic!("{result:?}") };
    assert!(detail.contains("127.0.0.1") && !detail.contains(&site.database.password()), "{detail}");
    let read = world.store.user_by_name("ada").await;
    assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let opened = Store::open(&site.config()).await;
    let Err(OpenError::Unreachable { database, detail }) = opened else { panic!("{opened:?}") };
    assert!(!format!("{database} {detail}").contains(&site.database.password()), "{database} {detail}");

    let cluster = Arc::clone(&site.cluster);
    blocking(move || cluster.restart()).await;
    commit_when_back(&world.store, &world.lease, &batch).await;
    assert_eq!(count_after_reload(&world.store, "away").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_server_with_the_right_certificate_is_believed() {
    let (cluster, other) = blocking(|| (Postgres::start_with_tls(), Postgres::start_with_tls())).await;
    let url = cluster.database();
    let store = Store::open(&StoreConfig::from_url(&url.url()).expect("a URL")).await.expect("verify-full with its CA");
    store.migrate().await.expect("migrates");
    let (right, wrong) = (cluster.ca_file(), other.ca_file());
    assert!(url.url().contains("verify-full"), "{}", url.url());
    let elsewhere = url.url().replace(&*right.to_string_lossy(), &wrong.to_string_lossy());
    assert_ne!(elsewhere, url.url());
    let refused = Store::open(&StoreConfig::from_url(&elsewhere).expect("a URL")).await;
    let Err(OpenError::Unreachable { database, detail }) = refused else { panic!("{refused:?}") };
    assert!(detail.contains("certificate") && detail.contains("sslrootcert"), "{detail}");
    assert!(!format!("{database} {detail}").contains(&url.password()), "{database} {detail}");
    // A server that speaks without encryption is none either.
    let plain = Site::shared().await;
    let demanding = format!("{}?sslmode=require", plain.database.url());
    let refused = Store::open(&StoreConfig::from_url(&demanding).expect("a URL")).await;
    assert!(matches!(refused, Err(OpenError::Unreachable { .. })), "{refused:?}");
    store.close().await;
}
