//! Where a restored database is made, and how it gets to its place.
//!
//! Invariants: the directory's lock is held from the first look to the last rename; a database that is there is moved
//! into a directory of its own with its log, never removed; the new one gets its name by one rename, with nothing of an
//! older log beside it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use sqlx::{ConnectOptions, Connection, Executor};

use super::super::lock::DirectoryLock;
use super::super::open::reader_options;
use crate::error::OpenError;
use crate::transfer::{TABLES, TransferError};

/// Holds the new database until it is whole.
const PARTIAL: &str = "restore.partial";
/// What is with a database file: its log, and the index of that.
const PARTS: [&str; 2] = ["-wal", "-shm"];

/// What stands at the place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    /// A database without a row, or what is with one and holds nothing: nobody misses it.
    Empty,
    /// A cluster, what nobody can tell about, or the log of a database that is gone.
    Cluster,
}

/// See the module.
pub(super) struct Place {
    file: PathBuf,
    directory: PathBuf,
    there: There,
    _lock: DirectoryLock,
}

impl Place {
    /// Locks the directory, and refuses one with a cluster in it unless that may be replaced.
    pub(super) async fn take(file: &Path, replace: bool) -> Result<Self, TransferError> {
        let file = std::path::absolute(file).map_err(failed("find", file))?;
        let directory = file.parent().unwrap_or(Path::new("/")).to_owned();
        make(&directory)?;
        let lock = DirectoryLock::take(&directory)?;
        let there = match look(&file).await {
            Err(TransferError::NotEmpty { .. }) if replace => There::Cluster,
            looked => looked?,
        };
        let place = Self { file, directory, there, _lock: lock };
        // Of an earlier attempt that was killed.
        place.clear();
        make(&place.directory.join(PARTIAL))?;
        Ok(place)
    }

    /// The file to fill.
    pub(super) fn new_file(&self) -> PathBuf {
        self.directory.join(PARTIAL).join(self.name())
    }

    /// Puts the new file where the old one is. It is closed by now. Says where the old one went.
    pub(super) async fn put(self) -> Result<Option<PathBuf>, TransferError> {
        let new = self.new_file();
        // Closing took the log into the file, or the file is not whole.
        let log = part(&new, PARTS[0]);
        if fs::metadata(&log).is_ok_and(|metadata| metadata.len() > 0) {
            let source = io::Error::other("the log could not be taken into the database");
            return Err(TransferError::File { what: "finish", path: log, source });
        }
        sync(&new)?;
        let aside = match self.there {
            There::Nothing => None,
            There::Empty => {
                self.remove()?;
                None
            }
            There::Cluster => Some(self.set_aside().await?),
        };
        fs::rename(&new, &self.file).map_err(failed("rename", &new))?;
        sync(&self.directory)?;
        Ok(aside)
    }

    /// Removes what was made beside.
    fn clear(&self) {
        let partial = self.directory.join(PARTIAL);
        match fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(directory = %partial.display(), %error, "cannot remove what is left of a restore");
            }
            _ => {}
        }
    }

    /// Gives the old database a second name in a directory of its own, and takes its log from beside the first one.
    /// Where it can be read, its log is taken into it before: then it is whole even if the next moment is the last. Of
    /// a database that is gone, the log alone is taken there.
    async fn set_aside(&self) -> Result<PathBuf, TransferError> {
        // SQLite would remove the log of an empty file.
        if fs::metadata(&self.file).is_ok_and(|metadata| metadata.len() > 0) {
            settle(&self.file).await;
        }
        let aside = (1..)
            .map(|number| self.directory.join(format!("before-restore-{number}")))
            .find(|path| !path.exists())
            .expect("there is always another number");
        make(&aside)?;
        match fs::hard_link(&self.file, aside.join(self.name())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("link", &self.file)(error)),
            _ => {}
        }
        for suffix in PARTS {
            let from = part(&self.file, suffix);
            match fs::rename(&from, part(&aside.join(self.name()), suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("rename", &from)(error)),
                _ => {}
            }
        }
        sync(&aside)?;
        sync(&self.directory)?;
        Ok(aside)
    }

    /// Removes a database without rows, and first what could be mistaken for the log of the new one.
    fn remove(&self) -> Result<(), TransferError> {
        let parts = PARTS.map(|suffix| part(&self.file, suffix));
        for path in parts.iter().chain([&self.file]) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", path)(error)),
                _ => {}
            }
        }
        sync(&self.directory)
    }

    fn name(&self) -> PathBuf {
        self.file.file_name().map_or_else(|| PathBuf::from("fogline.db"), PathBuf::from)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What SQLite calls a part of this database.
fn part(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Refuses a file that holds rows, or that nobody can tell about.
async fn look(file: &Path) -> Result<There, TransferError> {
    let not_empty = |detail: String| TransferError::NotEmpty { database: file.display().to_string(), detail };
    let nothing = match fs::metadata(file) {
        Ok(metadata) if metadata.len() == 0 => Some(There::Empty),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(There::Nothing),
        _ => None,
    };
    if let Some(nothing) = nothing {
        // SQLite would play such a log over whatever gets this name.
        let log = part(file, PARTS[0]);
        if fs::metadata(&log).is_ok_and(|metadata| metadata.len() > 0) {
            return Err(not_empty(format!("the database is gone, but its log is there ({})", log.display())));
        }
        let left_over = PARTS.iter().any(|suffix| part(file, suffix).exists());
        return Ok(if left_over { There::Empty } else { nothing });
    }
    let unreadable = |error: sqlx::Error| not_empty(format!("what is there cannot be read ({error})"));
    let mut connection = reader_options(file).connect().await.map_err(unreadable)?;
    let mut filled = Vec::new();
    for table in TABLES.iter().map(|table| table.name).chain(["leader"]) {
        let there = sqlx::query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1").bind(table);
        if there.fetch_optional(&mut connection).await.map_err(unreadable)?.is_none() {
            continue;
        }
        let any = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT 1 FROM {table} LIMIT 1")));
        if any.fetch_optional(&mut connection).await.map_err(unreadable)?.is_some() {
            filled.push(table);
        }
    }
    let _ = connection.close().await;
    if filled.is_empty() {
        Ok(There::Empty)
    } else {
        Err(not_empty(format!("there are rows in {}", filled.join(", "))))
    }
}

/// Takes the log of a database into its file, where both can be read. Where they cannot, they are moved as they are:
/// such a database is no good to anybody where it stands, either.
async fn settle(file: &Path) {
    let options = reader_options(file).read_only(false).pragma("query_only", "OFF");
    let Ok(mut connection) = options.connect().await else { return };
    if let Err(error) = connection.fetch_all("PRAGMA wal_checkpoint(TRUNCATE)").await {
        tracing::warn!(file = %file.display(), %error, "the database that is replaced is set aside as it is");
    }
    let _ = connection.close().await;
}

fn make(directory: &Path) -> Result<(), OpenError> {
    let unusable = |source| OpenError::Unusable { file: directory.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unusable)
}

/// Makes sure that a file, or the names in a directory, are on the disk.
fn sync(path: &Path) -> Result<(), TransferError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(failed("sync", path))
}

fn failed(what: &'static str, path: &Path) -> impl Fn(io::Error) -> TransferError {
    move |source| TransferError::File { what, path: path.to_owned(), source }
}
