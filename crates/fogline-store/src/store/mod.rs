//! The one door to the rows, whatever keeps them. Each method is a `match` over the backends and nothing else.

mod reads;

use fogline_core::cluster::{Changes, Durable};
use fogline_core::time::Timestamp;

use crate::config::StoreConfig;
use crate::counts::Pruned;
use crate::error::{CommitError, OpenError, StoreError};
use crate::lease::Lease;
use crate::migration::MigrationStatus;
use crate::sqlite::SqliteStore;

/// An open store. Cheap to clone; every clone is the same store.
#[derive(Clone, Debug)]
pub struct Store {
    backend: Backend,
}

#[derive(Clone, Debug)]
enum Backend {
    Sqlite(SqliteStore),
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
        }
    }

    /// Ends the store for every clone: waits for what runs and gives the lock back. Dropping the last clone does so too,
    /// but does not wait.
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite(store) => store.close().await,
        }
    }

    /// Brings the schema up to date. Says how many steps that took.
    ///
    /// # Errors
    /// When a step fails; those before it stay, it itself leaves nothing.
    pub async fn migrate(&self) -> Result<usize, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.migrate().await,
        }
    }

    /// Takes the last `steps` migrations back, and with them what only they have room for. Says how many there were.
    ///
    /// # Errors
    /// As [`Self::migrate`].
    pub async fn revert(&self, steps: usize) -> Result<usize, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.revert(steps).await,
        }
    }

    /// Every migration, and whether the database has it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn migrations(&self) -> Result<Vec<MigrationStatus>, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.migrations().await,
        }
    }

    /// Becomes the one who may write: the epoch goes up by one, and every older lease is worth nothing from here on.
    /// `holder` must differ with each take-over.
    ///
    /// # Errors
    /// When the schema is not up to date or the database fails.
    pub async fn take_over(&self, holder: &str) -> Result<Lease, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.take_over(holder).await,
        }
    }

    /// Every row that the cluster holds in memory, all of one moment.
    ///
    /// # Errors
    /// When a row is damaged or the database fails.
    pub async fn load(&self) -> Result<Durable, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.load().await,
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
        }
    }

    /// Lets go of what is kept only for a while: ended replicas beyond the last 50 of each deployment, idempotency keys
    /// older than 24 hours, expired sessions. In small transactions, so that commits get in between.
    ///
    /// # Errors
    /// When the database fails; what was let go of before that stays so.
    pub async fn prune(&self, now: Timestamp) -> Result<Pruned, StoreError> {
        match &self.backend {
            Backend::Sqlite(store) => store.prune(now).await,
        }
    }
}
