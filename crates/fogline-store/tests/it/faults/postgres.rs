//! A PostgreSQL of a test's own, reached through a network that breaks.

use std::sync::Arc;
use std::time::Duration;

use fogline_core::cluster::Changes;
use fogline_store::{Candidate, CommitError, Lease, Store, StoreConfig};
use fogline_testbed::{Database, Postgres, Relay};
use tokio::time::Instant;

use crate::world::{LEASE, World, add};

/// As long as anything may take that waits for PostgreSQL on this machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// See the module. Fields are dropped in order: the store of a test is gone before.
pub struct Site {
    pub relay: Relay,
    pub database: Database,
    pub cluster: Arc<Postgres>,
}

impl Site {
    /// One that others do not use.
    pub async fn own() -> Self {
        Self::of(|| Arc::new(Postgres::start())).await
    }

    /// A database in the shared one, with a network of its own.
    pub async fn shared() -> Self {
        Self::of(Postgres::shared).await
    }

    async fn of(cluster: impl FnOnce() -> Arc<Postgres> + Send + 'static) -> Self {
        blocking(move || {
            let cluster = cluster();
            Self { relay: Relay::to(cluster.addr()), database: cluster.database(), cluster }
        })
        .await
    }

    /// Through the network that breaks.
    pub fn config(&self) -> StoreConfig {
        StoreConfig::from_url(&self.database.url_at(self.relay.addr())).expect("a URL")
    }

    /// Past it.
    pub fn direct(&self) -> StoreConfig {
        StoreConfig::from_url(&self.database.url()).expect("a URL")
    }

    pub async fn open(&self) -> Store {
        let store = Store::open(&self.config()).await.expect("opens");
        store.migrate().await.expect("migrates");
        store
    }

    pub async fn world(&self) -> World {
        World::new(self.open().await).await
    }
}

/// The testbed's calls block.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("does not panic")
}

/// A batch that adds this many users, all of this name and a number.
pub fn users(world: &mut World, name: &str, count: usize) -> Changes {
    let mut changes = Changes::default();
    for number in 0..count {
        let user = world.rows.user(&format!("{name}-{number}"));
        add(&mut changes.users, user.id, &user);
    }
    changes
}

/// Loads as soon as the database can be reached, and counts the users of this name.
pub async fn count_after_reload(store: &Store, name: &str) -> usize {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match store.load().await {
            Ok(durable) => return durable.users.iter().filter(|user| user.username.starts_with(name)).count(),
            Err(error) => assert!(Instant::now() < deadline, "cannot load again: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Commits as soon as the database takes it. Nothing else than being away may stop it.
pub async fn commit_when_back(store: &Store, lease: &Lease, changes: &Changes) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match store.commit(lease, changes).await {
            Ok(revision) => return revision,
            Err(CommitError::Unavailable { detail }) => assert!(Instant::now() < deadline, "still away: {detail}"),
            // Nothing of it can be half there.
            Err(CommitError::Unknown { .. }) if changes.is_empty() => {}
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A candidate of this name for a lease that outlasts the test.
pub fn candidate(name: &str) -> Candidate {
    Candidate::new(name, LEASE)
}
