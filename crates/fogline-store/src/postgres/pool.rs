//! Connections that reads borrow, and samples.
//!
//! The pool tries again, with growing pauses, while the server cannot be reached, and gives up after [`PATIENCE`].
//! Invariant: a connection on which something was left under way never goes back.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPoolOptions};
use sqlx::{PgPool, Postgres};
use tokio::time::timeout;

use super::PostgresStore;
use super::config::PostgresConfig;
use super::connect::Purpose;
use super::failure::Failure;
use crate::error::StoreError;

/// Reads are short; what more would bring is waiting within the server instead of before it.
const MOST: u32 = 8;

/// How long a read waits for a connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a read may take. The server's own limit comes first, unless it cannot be heard.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(6);

pub(super) fn readers(config: &PostgresConfig) -> PgPool {
    pool(config, Purpose::Read, MOST)
}

/// At most so many connections for this, made when they are asked for.
pub(crate) fn pool(config: &PostgresConfig, purpose: Purpose, most: u32) -> PgPool {
    PgPoolOptions::new().max_connections(most).acquire_timeout(PATIENCE).connect_lazy_with(config.options_for(purpose))
}

/// A connection that is thrown away unless it is given back.
pub(crate) struct Lent(Option<PoolConnection<Postgres>>);

impl PostgresStore {
    /// A connection to read with.
    pub(crate) async fn reader(&self) -> Result<Lent, StoreError> {
        Lent::of(&self.readers, &self.config.place()).await
    }

    /// Throws away what is idle, with all that it has prepared for a schema that is no more.
    pub(super) fn forget_idle_readers(&self) {
        while let Some(connection) = self.readers.try_acquire() {
            drop(connection.detach());
        }
    }
}

impl Lent {
    /// A connection of a pool to this place.
    pub(crate) async fn of(pool: &PgPool, place: &str) -> Result<Self, StoreError> {
        match pool.acquire().await {
            Ok(connection) => Ok(Self(Some(connection))),
            Err(sqlx::Error::PoolTimedOut) => Err(StoreError::Unavailable {
                detail: format!("no connection to {place} within {} s", PATIENCE.as_secs()),
            }),
            Err(error) => Err(Failure::before(&error).into()),
        }
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("is there until it is given back")
    }

    /// Runs a read to its end and gives the connection back, if it can go on.
    pub(crate) fn give_back<T>(mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if !matches!(result, Err(StoreError::Unavailable { .. })) {
            drop(self.0.take());
        }
        result
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

/// What comes in time, or that it did not.
pub(crate) async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match timeout(deadline, work).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Unavailable {
            detail: format!("no answer from PostgreSQL within {} s", deadline.as_secs()),
        }),
    }
}
