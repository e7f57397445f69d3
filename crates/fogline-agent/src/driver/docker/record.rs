//! What is on the agent's disk about a replica's containers: the order, before the engine hears of it, and how it ended.
//!
//! Invariant: a record is the old one or the new one, and a run that is in one is never started again. Orders hold
//! secrets, so only the agent's user can read them. Tests: below, and `tests/it/driver`.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::{Exit, StartOrder};
use crate::disk::lenient;
use crate::disk::write::{self, Flush};

/// The last run of a replica.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// What it was started from; its port is the one that is published, if any.
    pub start: StartOrder,
    /// The engine's id of the container, once it was seen to run.
    pub container: Option<String>,
    /// How it ended.
    pub exit: Option<Exit>,
}

/// What is in a directory.
pub(super) enum Recorded {
    Nothing,
    Whole(Box<Record>),
    /// It is there and cannot be made out; why.
    Damaged(String),
}

/// A replica's directory.
#[derive(Clone, Debug)]
pub(super) struct RecordDir {
    path: PathBuf,
}

impl RecordDir {
    pub const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// The output of earlier runs.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    pub fn read(&self) -> Recorded {
        match fs::read(self.file()) {
            Ok(text) => match lenient::from_slice(&text) {
                Ok(record) => Recorded::Whole(Box::new(record)),
                Err(error) => Recorded::Damaged(format!("{} is damaged: {error}", self.file().display())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Recorded::Nothing,
            Err(error) => Recorded::Damaged(format!("{} cannot be read: {error}", self.file().display())),
        }
    }

    pub fn whole(&self) -> Option<Record> {
        match self.read() {
            Recorded::Whole(record) => Some(*record),
            Recorded::Nothing | Recorded::Damaged(_) => None,
        }
    }

    /// Synced: what follows from a record may outlive a power cut, so the record must, too.
    pub fn write(&self, record: &Record) -> io::Result<()> {
        let is_new = !self.path.exists();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(self.logs())?;
        let written = serde_json::to_vec_pretty(record)
            .map_err(io::Error::other)
            .and_then(|text| write::replace(&self.file(), &text, Flush::Yes));
        match written {
            Ok(()) if is_new => write::sync_name(&self.path),
            Err(error) if is_new => {
                // Nothing was recorded, so nothing is lost, and a full disk gets its bytes back.
                drop(fs::remove_dir_all(&self.path));
                Err(error)
            }
            written => written,
        }
    }

    /// Puts what cannot be read where nobody looks for it.
    pub fn set_aside(&self) -> io::Result<()> {
        fs::rename(self.file(), self.damaged())
    }

    /// Whether something was set aside here.
    pub fn has_damaged(&self) -> bool {
        self.damaged().exists()
    }

    fn damaged(&self) -> PathBuf {
        self.path.join("record.damaged")
    }

    fn file(&self) -> PathBuf {
        self.path.join("record.json")
    }
}

/// The name of this agent among the engine's users, made once.
pub(super) fn agent_id(state_dir: &Path, fresh: u64) -> io::Result<String> {
    let path = state_dir.join("containers").join("agent-id");
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let id = format!("{fresh:016x}");
    write::replace(&path, format!("{id}\n").as_bytes(), Flush::Yes)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_named_once() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("containers")).expect("made");
        assert_eq!(agent_id(dir.path(), 10).expect("named"), "000000000000000a");
        assert_eq!(agent_id(dir.path(), 11).expect("named"), "000000000000000a");
    }

    #[test]
    fn a_record_that_is_damaged_is_neither_there_nor_absent() {
        let dir = tempfile::tempdir().expect("a directory");
        let record = RecordDir::at(dir.path().join("one"));
        assert!(matches!(record.read(), Recorded::Nothing));
        fs::create_dir_all(record.path()).expect("made");
        fs::write(record.file(), "{\"start\":").expect("written");
        assert!(matches!(record.read(), Recorded::Damaged(_)));
        assert!(!record.has_damaged());
        record.set_aside().expect("renamed");
        assert!(record.has_damaged());
        assert!(matches!(record.read(), Recorded::Nothing));
    }
}
