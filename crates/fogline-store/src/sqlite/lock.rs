//! One process a data directory. The lock is the kernel's (`flock`), so it never outlives its holder, however that ended.
//!
//! The file is never removed: a process that waits for the old one would then hold a lock that nobody else sees. Tests:
//! `tests/it/faults/second_open.rs`.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::OpenError;

/// The lock, given back when this is dropped.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

const FILE_NAME: &str = "fogline.lock";

impl DirectoryLock {
    /// Takes the lock on a directory, or says who has it.
    pub(super) fn take(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(FILE_NAME);
        let unusable = |source| OpenError::Unusable { file: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(OpenError::Locked { file: path, pid });
            }
            Err(errno) => return Err(unusable(errno.into())),
        }
        // Only for the message above. Where the disk is full it stays out, and the lock holds all the same.
        let named =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = named {
            tracing::warn!(file = %path.display(), %error, "could not write this process's id into the lock file");
        }
        Ok(Self { _file: file })
    }
}
