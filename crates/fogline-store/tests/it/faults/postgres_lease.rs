//! One leader at a time, by the database's clock, whoever believes what.

use std::time::Duration;

use fogline_core::cluster::Changes;
use fogline_store::{Candidate, CommitError, Store, StoreConfig, StoreError, TakeOver};
use fogline_testbed::{Postgres, Relay};
use tokio::time::Instant;

use super::postgres::{PATIENCE, blocking, candidate, users};
use crate::backend::Backend;
use crate::world::World;

/// The lower half of an epoch.
const COUNTER_BITS: u32 = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_race_for_the_lease_exactly_one_wins() {
    let backend = Backend::postgres().await;
    let (one, two) = (backend.open().await, backend.open().await);
    let mut epoch = 0;
    for round in 0..40 {
        let (a, b) = (candidate(&format!("one-{round}")), candidate(&format!("two-{round}")));
        let taken = tokio::join!(one.take_over(&a), two.take_over(&b));
        let (won, held) = match (taken.0.expect("answers"), taken.1.expect("answers")) {
            (TakeOver::Won(won), TakeOver::Held(held)) | (TakeOver::Held(held), TakeOver::Won(won)) => (won, held),
            other => panic!("round {round}: {other:?}"),
        };
        assert_eq!((held.epoch, &held.holder), (won.epoch, &won.holder), "round {round}");
        assert!(held.expires_in > Duration::ZERO);
        assert_eq!(won.epoch, epoch + 1, "round {round}");
        epoch = won.epoch;
        one.release(&won).await.expect("released");
        let fenced = one.commit(&won, &Changes::default()).await;
        assert!(matches!(fenced, Err(CommitError::Fenced)), "what was given back is worth nothing: {fenced:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_holds_while_it_is_renewed_and_not_for_long_after() {
    let backend = Backend::postgres().await;
    let (leader, standby) = (backend.open().await, backend.open().await);
    let mut short = Candidate::new("leader", Duration::from_millis(1_500));
    (short.http_address, short.agent_address) = ("http://one:8000".to_owned(), "one:8001".to_owned());
    let lease = leader.take_over(&short).await.expect("answers").won().expect("leads");
    assert_eq!(lease.lasts, Some(Duration::from_millis(1_500)));
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(4) {
        leader.commit(&lease, &Changes::default()).await.expect("renews");
        let taken = standby.take_over(&candidate("standby")).await.expect("answers");
        let TakeOver::Held(incumbent) = taken else { panic!("taken over while it was renewed") };
        assert_eq!(
            (incumbent.http_address.as_str(), incumbent.agent_address.as_str()),
            ("http://one:8000", "one:8001")
        );
        assert!(incumbent.expires_in <= Duration::from_millis(1_500), "{incumbent:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let idle_since = Instant::now();
    let taken = loop {
        if let TakeOver::Won(lease) = standby.take_over(&candidate("standby")).await.expect("answers") {
            break lease;
        }
        assert!(idle_since.elapsed() < PATIENCE, "the lease never ends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(taken.epoch, lease.epoch + 1);
    // The old leader wakes up and writes on.
    let mut world = World::new(backend.another().await.open().await).await;
    let late = users(&mut world, "late", 1);
    let fenced = leader.commit(&lease, &late).await;
    assert!(matches!(fenced, Err(CommitError::Fenced)), "{fenced:?}");
    let pruned = leader.prune(&lease, world.rows.now()).await;
    assert!(matches!(pruned, Err(CommitError::Fenced)), "{pruned:?}");
    leader.release(&lease).await.expect("answers");
    standby.commit(&taken, &Changes::default()).await.expect("giving back what is another's changes nothing");
    assert_eq!(standby.user_by_name("late-0").await.expect("reads"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_was_behind_when_it_was_promoted_has_only_higher_epochs() {
    let (primary, standby) = blocking(|| {
        let primary = Postgres::start();
        let standby = primary.standby();
        (primary, standby)
    })
    .await;
    let (primary, database) = blocking(move || {
        let database = primary.database();
        (primary, database)
    })
    .await;
    let relay = Relay::to(primary.addr());
    let through = StoreConfig::from_url(&database.url_at(relay.addr())).expect("a URL");
    let store = Store::open(&through).await.expect("opens");
    store.migrate().await.expect("migrates");
    let world = World::new(store.clone()).await;
    // As after a restore of a cluster that had seen promotions.
    store.release(&world.lease).await.expect("released");
    let restored = Candidate { known_epoch: 5 << COUNTER_BITS, ..candidate("restored") };
    let mut last = store.take_over(&restored).await.expect("answers").won().expect("leads");
    let (primary, standby) = blocking(move || {
        standby.catch_up_with(&primary);
        standby.pause_replication();
        (primary, standby)
    })
    .await;

    // A copy takes no writes, and says so.
    let copy = StoreConfig::from_url(&database.url_at(standby.addr())).expect("a URL");
    let copy = Store::open(&copy).await.expect("opens");
    let refused = copy.take_over(&candidate("copy")).await;
    let Err(StoreError::Unavailable { detail }) = refused else { panic!("{refused:?}") };
    assert!(detail.contains("recovery") && detail.contains("primary"), "{detail}");

    // Epochs that the copy will never hear of.
    let mut handed_out = last.epoch;
    for round in 0..5 {
        store.release(&last).await.expect("released");
        last = store.take_over(&candidate(&format!("unseen-{round}"))).await.expect("answers").won().expect("leads");
        handed_out = handed_out.max(last.epoch);
    }
    let standby = blocking(move || {
        standby.promote();
        standby
    })
    .await;
    relay.redirect(standby.addr());
    // The lease that the copy knows of has to end first; it was given back there, or its holder is told of.
    let deadline = Instant::now() + PATIENCE;
    let promoted = loop {
        match store.take_over(&candidate("promoted")).await {
            Ok(TakeOver::Won(lease)) => break lease,
            Ok(TakeOver::Held(held)) => {
                let theirs = fogline_store::Lease {
                    cluster_id: String::new(),
                    epoch: held.epoch,
                    holder: held.holder,
                    revision: held.revision,
                    lasts: None,
                };
                store.release(&theirs).await.expect("released");
            }
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(promoted.epoch > handed_out, "{} after {handed_out}", promoted.epoch);
    assert_eq!(promoted.epoch >> COUNTER_BITS, (handed_out >> COUNTER_BITS) + 1, "one timeline more");
    store.commit(&promoted, &Changes::default()).await.expect("the promoted copy takes writes");

    // The old primary comes back alone: whoever leads there has epochs that agents no longer obey.
    let direct = Store::open(&StoreConfig::from_url(&database.url()).expect("a URL")).await.expect("opens");
    direct.release(&last).await.expect("released");
    let stale = direct.take_over(&candidate("stale")).await.expect("answers").won().expect("leads there");
    assert!(stale.epoch < promoted.epoch, "{} on the old primary", stale.epoch);
    // Unless they have told it so.
    direct.release(&stale).await.expect("released");
    let told = Candidate { known_epoch: promoted.epoch, ..candidate("told") };
    let told = direct.take_over(&told).await.expect("answers").won().expect("leads there");
    assert_eq!(told.epoch, promoted.epoch + 1);
    for store in [store, direct, copy] {
        store.close().await;
    }
    blocking(move || drop((database, standby, primary))).await;
}
