//! Opening the file, or a new one where it cannot be used.
//!
//! The lock of the data directory, which whoever has the rows holds, keeps other servers away. Must never take long: a
//! large file is not read through, and what is wrong in it shows when it is used.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, Row};
use tokio::sync::Mutex;

use super::{Open, Writer, aside};
use crate::error::OpenError;
use crate::sqlite::{Failure, reader_options, refused};

/// Graphs are looked at by few at a time.
const READERS: u32 = 2;

/// Of what `SCHEMA` makes. A file with another one is begun anew.
const VERSION: i64 = 1;

/// Read through in less than half a second.
const SMALL: u64 = 64 << 20;

const SCHEMA: &str = "CREATE TABLE sample_fine (
        at         INTEGER NOT NULL,
        series     INTEGER NOT NULL,
        rest_count INTEGER NOT NULL,
        rest_sum   REAL    NOT NULL,
        rest_max   REAL    NOT NULL,
        last_at    INTEGER NOT NULL,
        last_value REAL    NOT NULL,
        PRIMARY KEY (at, series)
    ) WITHOUT ROWID;
    CREATE TABLE sample_coarse (
        at     INTEGER NOT NULL,
        series INTEGER NOT NULL,
        count  INTEGER NOT NULL,
        sum    REAL    NOT NULL,
        max    REAL    NOT NULL,
        PRIMARY KEY (at, series)
    ) WITHOUT ROWID;
    PRAGMA user_version = 1;";

/// Why a file does not open.
enum Trouble {
    /// It is no file of this program's samples any more, or not yet.
    Unfit(String),
    Failed(sqlx::Error),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        if Failure::is_corrupt(&error) { Self::Unfit(error.to_string()) } else { Self::Failed(error) }
    }
}

impl Open {
    pub(super) async fn open(file: &Path, number: u64) -> Result<Self, OpenError> {
        prepare(file)?;
        let connection = match connect(file).await {
            Err(Trouble::Unfit(detail)) => {
                aside::set_aside(file, &detail);
                prepare(file)?;
                connect(file).await
            }
            connected => connected,
        };
        let connection = connection.map_err(|trouble| match trouble {
            Trouble::Unfit(detail) => OpenError::Corrupt { file: file.to_owned(), detail },
            Trouble::Failed(error) => refused(file, &error),
        })?;
        let options = reader_options(file).thread_name(|number| format!("fogline-samples-read-{number}"));
        let readers = SqlitePoolOptions::new().max_connections(READERS).connect_lazy_with(options);
        Ok(Self { writer: Mutex::new(Writer::new(connection)), readers, number })
    }
}

/// SQLite gives the log the mode of the file.
fn prepare(file: &Path) -> Result<(), OpenError> {
    let made = || {
        if let Some(directory) = file.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(file).map(|_| ())
    };
    made().map_err(|source| OpenError::Unusable { file: file.to_owned(), source })
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("journal_size_limit", "16777216")
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "MEMORY")
        .pragma("cell_size_check", "ON")
        .pragma("trusted_schema", "OFF")
        .thread_name(|_| "fogline-samples-write".to_owned())
        .disable_statement_logging()
}

async fn connect(file: &Path) -> Result<SqliteConnection, Trouble> {
    let mut connection = options(file).connect().await?;
    match examine(file, &mut connection).await {
        Ok(()) => Ok(connection),
        Err(trouble) => {
            // What is wrong with the file is what the caller must hear, not what closing it says.
            let _ = connection.close().await;
            Err(trouble)
        }
    }
}

/// Makes the tables where there are none, and looks whether those that are there are ours.
async fn examine(file: &Path, connection: &mut SqliteConnection) -> Result<(), Trouble> {
    let version: i64 = connection.fetch_one("PRAGMA user_version").await?.try_get(0)?;
    let tables: i64 = connection.fetch_one("SELECT count(*) FROM sqlite_schema").await?.try_get(0)?;
    if (version, tables) == (0, 0) {
        connection.execute("BEGIN IMMEDIATE").await?;
        connection.execute(SCHEMA).await?;
        connection.execute("COMMIT").await?;
        return Ok(());
    }
    if version != VERSION {
        return Err(Trouble::Unfit(format!("its form is {version}, and this program writes {VERSION}")));
    }
    if std::fs::metadata(file).is_ok_and(|metadata| metadata.len() <= SMALL) {
        let finding: String = connection.fetch_one("PRAGMA quick_check(1)").await?.try_get(0)?;
        if finding != "ok" {
            return Err(Trouble::Unfit(finding));
        }
    }
    Ok(())
}
