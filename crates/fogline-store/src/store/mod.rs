//! The one door to the rows, whatever keeps them. Each method is a `match` over the backends and nothing else.

mod reads;

use fogline_core::cluster::{Changes, Durable};
use fogline_core::time::Timestamp;

use crate::config::StoreConfig;
use crate::counts::Pruned;
use crate::error::{CommitError, OpenError, StoreError};
use crate::lease::{Candidate, Incumbent, KeysPinned, Lease, TakeOver};
use crate::migration::MigrationStatus;
use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;

/// An open store. Cheap to clone; every clone is the same store.
#[derive(Clone, Debug)]
pub struct Store {
    backend: Backend,
}

#[derive(Clone, Debug)]
enum Backend {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Store {
    /// Opens the store and makes sure that it is whole and nobody else's. Does not bring the schema up to date: that is
    /// [`Self::migrate`].
    ///
    /// # Errors
    /// When somebody else has it, or it is damaged, too new, or cannot be reached.
    pub async fn open(config: &StoreConfig) -> Result<Self, OpenError> {
        match config {
            StoreConfig::Sqlite { file } => Ok(Self { backend: Backend::Sqlite(SqliteStore::open(file).await?) }),
            StoreConfig::Postgres(config) => {
                Ok(Self { backend: Backend::Postgres(PostgresStore::open(config).await?) })
            }
        }
    }

    /// Ends the store for every clone: waits for what runs and gives the lock back. Dropping the last clone does so too,
    /// but does not wait.
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite(store) => store.close().await,
            Backend::Postgres(store) => store.close().await,
        }
    }

    /// Brings the schema up to date. Says how many steps that took.
    ///
    /// # Errors
    /// When a step fails; those before it stay, it itself leaves nothing.
    pub async fn migrate(&self) -> Result<usize, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.migrate().await,
            Backend::Postgres(store) => store.migrate().await,
        }
    }

    /// Takes the last `steps` migrations back, and with them what only they have room for. Says how many there were.
    ///
    /// # Errors
    /// As [`Self::migrate`].
    pub async fn revert(&self, steps: usize) -> Result<usize, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.revert(steps).await,
            Backend::Postgres(store) => store.revert(steps).await,
        }
    }

    /// Every migration, and whether the database has it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn migrations(&self) -> Result<Vec<MigrationStatus>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.migrations().await,
            Backend::Postgres(store) => store.migrations().await,
        }
    }

    /// Becomes the one who may write, unless somebody else's lease is not over: the epoch goes up, and every older lease
    /// is worth nothing from here on. Where the lock of the data directory is the right (SQLite), this always wins.
    ///
    /// # Errors
    /// When the schema is not up to date or the database fails. Whether it was won may then be unknown: no lease is no
    /// right, and the next attempt wins once this one's lease would be over.
    pub async fn take_over(&self, candidate: &Candidate) -> Result<TakeOver, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.take_over(candidate).await.map(TakeOver::Won),
            Backend::Postgres(store) => store.take_over(candidate).await,
        }
    }

    /// Who has taken over last; nobody in a database that is new.
    ///
    /// # Errors
    /// As [`Self::take_over`].
    pub async fn incumbent(&self) -> Result<Option<Incumbent>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.incumbent().await,
            Backend::Postgres(store) => store.incumbent().await,
        }
    }

    /// Gives the lease back, so that somebody else may take over at once. Nothing happens where it is another's by now,
    /// or where closing the store gives it back.
    ///
    /// # Errors
    /// When the database fails; the lease then ends by itself.
    pub async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(store) => store.release(lease).await,
        }
    }

    /// Says which keys the cluster's servers have. The first fingerprint is kept for ever; whoever brings another one
    /// must not serve.
    ///
    /// # Errors
    /// As [`Self::take_over`].
    pub async fn pin_keys(&self, fingerprint: &str) -> Result<KeysPinned, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.pin_keys(fingerprint).await,
            Backend::Postgres(store) => store.pin_keys(fingerprint).await,
        }
    }

    /// Every row that the cluster holds in memory, all of one moment.
    ///
    /// # Errors
    /// When a row is damaged or the database fails.
    pub async fn load(&self) -> Result<Durable, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.load().await,
            Backend::Postgres(store) => store.load().await,
        }
    }

    /// Writes a batch in one transaction and answers with its revision once it is on the disk. An empty batch renews the
    /// lease.
    ///
    /// # Errors
    /// See [`CommitError`]: each variant says what was written and what the caller must do.
    pub async fn commit(&self, lease: &Lease, changes: &Changes) -> Result<u64, CommitError> {
        match &self.backend {
            Backend::Sqlite(store) => store.commit(lease, changes).await,
            Backend::Postgres(store) => store.commit(lease, changes).await,
        }
    }

    /// Lets go of what is kept only for a while: ended replicas beyond the last 50 of each deployment, idempotency keys
    /// older than 24 hours, expired sessions, scaling decisions that held the count and are older than 7 days. In small
    /// transactions, so that commits get in between; each of them shows the lease, as a commit does.
    ///
    /// # Errors
    /// When somebody else leads or the database fails; what was let go of before that stays so.
    pub async fn prune(&self, lease: &Lease, now: Timestamp) -> Result<Pruned, CommitError> {
        match &self.backend {
            Backend::Sqlite(store) => store.prune(lease, now).await,
            Backend::Postgres(store) => store.prune(lease, now).await,
        }
    }
}
