//! PostgreSQL's part of backup and restore.
//!
//! Reading is one transaction that sees one moment. Writing is one transaction, tables and all: until it commits, every
//! server sees what was there before.

mod filling;
mod reading;
mod rows;

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use self::rows::failed;
use super::connect::Purpose;
use super::{PostgresConfig, PostgresStore};
use crate::transfer::TransferError;

pub(crate) use filling::PgFilling;
pub(crate) use reading::PgReading;

/// How long it may take to connect.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whoever reads or gives rows may pause for as long as a pipe is full.
const UNHURRIED: [(&str, &str); 2] = [("idle_in_transaction_session_timeout", "0"), ("tcp_user_timeout", "0")];

/// A database that was looked at as a server would look at it, and a pool of one connection to it: of a pool, because
/// only that gives out transactions that borrow from nothing.
async fn connect(config: &PostgresConfig) -> Result<PgPool, TransferError> {
    PostgresStore::open(config).await?.close().await;
    let options = config.options_for(Purpose::Long).options(UNHURRIED);
    let one = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE);
    one.connect_with(options).await.map_err(failed)
}
