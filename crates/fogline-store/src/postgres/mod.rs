//! The store in a PostgreSQL database that several servers share: one connection writes, a bounded pool reads.
//!
//! Several servers have the same database open, so nothing is so because this process believes it: each write shows the
//! lease, and what became of a write whose answer was lost is settled before anything is read or written on top of it
//! (`writer`). Waits are bounded here, whatever the network does. Faults: `tests/it/faults`.

mod commit;
mod config;
mod connect;
mod failure;
mod lease;
mod migrate;
mod open;
mod pool;
mod prune;
mod reader;
mod time;
mod transfer;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fogline_core::cluster::Durable;
use sqlx::{Executor, PgPool};
use tokio::sync::Mutex;

pub use self::config::PostgresConfig;
pub(crate) use self::connect::Purpose;
pub(crate) use self::failure::of_read;
pub(crate) use self::pool::{Lent, READ_DEADLINE, pool, within};
pub(crate) use self::transfer::{PgFilling, PgReading};
use self::writer::Writer;
use crate::error::StoreError;
use crate::read;

/// How long a load may take: it reads every row that the cluster holds in memory.
const LOAD_DEADLINE: Duration = Duration::from_secs(120);

/// How long closing may wait for a server that says nothing any more.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Clone)]
pub(crate) struct PostgresStore {
    config: PostgresConfig,
    writer: Arc<Mutex<Writer>>,
    readers: PgPool,
}

impl PostgresStore {
    pub(crate) async fn load(&self) -> Result<Durable, StoreError> {
        // What was sent before must not land in the middle, or after.
        self.writer.lock().await.settle().await?;
        let mut connection = self.config.connect(Purpose::Long).await?;
        within(LOAD_DEADLINE, async {
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await.map_err(failure::of_read)?;
            migrate::check_complete(&mut connection).await?;
            let durable = read::load(&mut connection).await?;
            connection.execute("COMMIT").await.map_err(failure::of_read)?;
            Ok(durable)
        })
        .await
    }

    pub(crate) async fn close(&self) {
        let _ = tokio::time::timeout(CLOSE_DEADLINE, self.readers.close()).await;
        let mut writer = self.writer.lock().await;
        let _ = tokio::time::timeout(CLOSE_DEADLINE, writer.close()).await;
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresStore({:?})", self.config)
    }
}
