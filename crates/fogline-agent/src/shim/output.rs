//! The pipe that a replica writes to, on its way to the log files.
//!
//! Must never leave the replica waiting while there is something to read: whatever happens to the files is
//! [`LogWriter`]'s to forgive. Tests: `tests/it/driver.rs`.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::logs::{LogLimits, LogWriter};

/// At most what is read in one go, and as often at most when the replica has ended.
const CHUNK_BYTES: usize = 64 * 1_024;
const DRAIN_CHUNKS: usize = 1_024;

pub(super) struct Output {
    /// Nothing once everybody has closed the other end.
    pipe: Option<File>,
    writer: LogWriter,
    chunk: Vec<u8>,
}

impl Output {
    pub(super) fn new(pipe: OwnedFd, dir: PathBuf, limits: LogLimits) -> io::Result<Self> {
        fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
        Ok(Self { pipe: Some(File::from(pipe)), writer: LogWriter::new(dir, limits), chunk: vec![0; CHUNK_BYTES] })
    }

    /// What to wait on.
    pub(super) const fn pipe(&self) -> Option<&File> {
        self.pipe.as_ref()
    }

    /// Writes one chunk to the files. Whether there may be more.
    pub(super) fn take(&mut self) -> bool {
        let Some(pipe) = &mut self.pipe else { return false };
        match pipe.read(&mut self.chunk) {
            Ok(0) => self.pipe = None,
            Ok(count) => self.writer.write(&self.chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
        true
    }

    /// Writes what is left when nobody is there to write more.
    pub(super) fn drain(&mut self) {
        let mut chunks_left = DRAIN_CHUNKS;
        while self.take() && chunks_left > 0 {
            chunks_left -= 1;
        }
    }
}
