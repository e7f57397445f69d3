//! Opening a database: reach it, look at it, and only then let anybody use it.

use std::sync::Arc;

use sqlx::postgres::{PgConnection, PgSslMode};
use sqlx::{Executor, Row};
use tokio::sync::Mutex;

use super::config::PostgresConfig;
use super::connect::Purpose;
use super::failure::of_read;
use super::pool::readers;
use super::writer::Writer;
use super::{PostgresStore, migrate};
use crate::error::{OpenError, StoreError};

/// As `server_version_num` says it. Older ones make no UUIDs by themselves, and nobody mends their faults any more.
const OLDEST: i32 = 130_000;

impl PostgresStore {
    pub(crate) async fn open(config: &PostgresConfig) -> Result<Self, OpenError> {
        let unreachable = |error: StoreError| OpenError::Unreachable {
            database: config.place(),
            detail: match error {
                StoreError::Unavailable { detail } | StoreError::Database { detail } => detail,
                error => error.to_string(),
            },
        };
        let mut connection = config.connect(Purpose::Long).await.map_err(|error| unreachable(error.into()))?;
        let version = version(&mut connection).await.map_err(unreachable)?;
        if version < OLDEST {
            return Err(OpenError::Unsupported {
                database: config.place(),
                detail: format!(
                    "it is PostgreSQL {}.{}, and Fogline needs 13 or newer",
                    version / 10_000,
                    version % 10_000
                ),
            });
        }
        let (found, known) = migrate::newest(&mut connection).await.map_err(unreachable)?;
        if found > known {
            return Err(OpenError::TooNew { database: config.place(), found, known });
        }
        config.warn_of_open_wire();
        let writer = Arc::new(Mutex::new(Writer::new(config.clone())));
        Ok(Self { config: config.clone(), writer, readers: readers(config) })
    }
}

impl PostgresConfig {
    fn warn_of_open_wire(&self) {
        let host = self.options.get_host();
        let near = self.options.get_socket().is_some() || matches!(host, "localhost" | "127.0.0.1" | "::1" | "[::1]");
        let checked = matches!(self.options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull);
        if !near && !checked {
            tracing::warn!(
                host,
                "the connection to PostgreSQL may be overheard or answered by somebody else: add \
                 sslmode=verify-full and sslrootcert=FILE to its URL"
            );
        }
    }
}

async fn version(connection: &mut PgConnection) -> Result<i32, StoreError> {
    let row = connection.fetch_one("SELECT current_setting('server_version_num')::int").await.map_err(of_read)?;
    row.try_get(0).map_err(of_read)
}
