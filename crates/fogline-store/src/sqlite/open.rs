//! Opening the file: lock, look, recover, and only then let anybody write.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, Row};
use tokio::sync::Mutex;

use super::failure::Failure;
use super::lock::DirectoryLock;
use super::writer::Writer;
use super::{SqliteStore, migrate, wal};
use crate::error::OpenError;

/// Reads are short and mostly from memory; more would only wait for the same cores.
const READERS: u32 = 4;

/// Only for somebody who looks into the file with another program: Fogline's own connections never wait for each other.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

impl SqliteStore {
    pub(crate) async fn open(file: &Path) -> Result<Self, OpenError> {
        let file = std::path::absolute(file).map_err(|source| OpenError::Unusable { file: file.to_owned(), source })?;
        let prepared = file.clone();
        let lock = tokio::task::spawn_blocking(move || prepare(&prepared))
            .await
            .map_err(|error| OpenError::Database { file: file.clone(), detail: error.to_string() })??;

        let mut connection = writer_options(&file).connect().await.map_err(|error| refused(&file, &error))?;
        if let Err(error) = examine(&file, &mut connection).await {
            // What is wrong with the file is what the caller must hear, not what closing it says.
            let _ = connection.close().await;
            return Err(error);
        }
        // Takes all of the log into the file and makes sure of it on the disk. If an earlier process failed to write its
        // log, the system may know it only in memory: nothing may be acknowledged on top of that.
        if let Err(error) = connection.fetch_all("PRAGMA wal_checkpoint(TRUNCATE)").await {
            if !matches!(Failure::from(&error), Failure::Full | Failure::IndexFull(_)) {
                let refused = refused(&file, &error);
                let _ = connection.close().await;
                return Err(refused);
            }
            tracing::warn!(file = %file.display(), "the disk is full: the log stays beside the database for now");
        }

        let mover = match mover_options(&file).connect().await {
            Ok(mover) => mover,
            Err(error) => {
                let refused = refused(&file, &error);
                let _ = connection.close().await;
                return Err(refused);
            }
        };
        let readers = SqlitePoolOptions::new().max_connections(READERS).connect_lazy_with(reader_options(&file));
        Ok(Self {
            writer: Arc::new(Mutex::new(Writer::new(connection))),
            mover: Arc::new(Mutex::new(Some(mover))),
            readers,
            lock: Arc::new(Mutex::new(Some(lock))),
        })
    }
}

/// What has to be so before SQLite sees the file.
fn prepare(file: &Path) -> Result<DirectoryLock, OpenError> {
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Unusable { file: path, source }
    };
    let directory = file.parent().unwrap_or(Path::new("/"));
    make_lasting(directory).map_err(unusable(directory))?;
    let lock = DirectoryLock::take(directory)?;
    // SQLite gives the log the mode of the file, so that hashes of passwords are nobody else's to read.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)
        .map_err(unusable(file))?;
    wal::check(&wal_of(file))?;
    Ok(lock)
}

/// Makes the directory where it is missing, and sees to it that its name outlives a power cut: what is written into it
/// would be gone with the name.
fn make_lasting(directory: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = directory.ancestors().take_while(|path| !path.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    for above in missing.iter().filter_map(|path| path.parent()) {
        sync(above)?;
    }
    // An earlier start may have made it and been killed before it came to this. Where it was somebody else who made it,
    // and nobody may look into the directory above, it is theirs to keep.
    if let (true, Some(above)) = (missing.is_empty(), directory.parent())
        && let Err(error) = sync(above)
        && error.kind() != io::ErrorKind::PermissionDenied
    {
        return Err(error);
    }
    Ok(())
}

/// Where a file system knows no such thing as syncing a directory, it has nothing to be told.
fn sync(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

fn wal_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn writer_options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", "0")
        // Taken only where the database is as large.
        .pragma("cache_size", "-65536")
        .pragma("temp_store", "MEMORY")
        .pragma("cell_size_check", "ON")
        .pragma("trusted_schema", "OFF")
        .statement_cache_capacity(256)
        .thread_name(|_| "fogline-db-write".to_owned())
        .disable_statement_logging()
}

/// It has no rows to remember.
fn mover_options(file: &Path) -> SqliteConnectOptions {
    writer_options(file).pragma("cache_size", "-64").thread_name(|_| "fogline-db-move".to_owned())
}

pub(crate) fn reader_options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("query_only", "ON")
        .pragma("cache_size", "-4096")
        // A sort must not need room on a disk that is full.
        .pragma("temp_store", "MEMORY")
        .pragma("trusted_schema", "OFF")
        .thread_name(|number| format!("fogline-db-read-{number}"))
        .disable_statement_logging()
}

/// Whether this is a whole database of this program's time.
async fn examine(file: &Path, connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let findings = connection.fetch_all("PRAGMA quick_check(5)").await.map_err(|error| refused(file, &error))?;
    let findings: Vec<String> = findings.iter().filter_map(|row| row.try_get(0).ok()).collect();
    if findings != ["ok"] {
        return Err(OpenError::Corrupt { file: file.to_owned(), detail: findings.join("; ") });
    }
    let (found, known) = migrate::newest(connection).await.map_err(|error| refused(file, &error))?;
    if found > known {
        return Err(OpenError::TooNew { database: file.display().to_string(), found, known });
    }
    Ok(())
}

pub(crate) fn refused(file: &Path, error: &sqlx::Error) -> OpenError {
    let detail = error.to_string();
    let file = file.to_owned();
    match Failure::from(error) {
        Failure::Full | Failure::IndexFull(_) => OpenError::Full { file },
        _ if Failure::is_corrupt(error) => OpenError::Corrupt { file, detail },
        _ => OpenError::Database { file, detail },
    }
}
