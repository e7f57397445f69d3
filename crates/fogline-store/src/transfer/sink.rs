//! Where the lines of a backup go: a compressed file, or an import that runs at the same time.

use std::fs::File;
use std::io::{BufWriter, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::mpsc;

use super::TransferError;

/// Enough that a chunk is worth its way, and little beside everything else.
const CHUNK_BYTES: usize = 1 << 18;

/// Takes lines.
pub(crate) struct Sink {
    to: To,
    chunk: String,
}

enum To {
    File(Box<GzEncoder<BufWriter<File>>>),
    Pipe(mpsc::Sender<String>),
}

impl Sink {
    /// Into a file, compressed.
    pub(crate) fn file(file: File) -> Self {
        let encoder = GzEncoder::new(BufWriter::with_capacity(1 << 17, file), Compression::default());
        Self { to: To::File(Box::new(encoder)), chunk: String::new() }
    }

    /// To an import. When that has failed, its error is the one that counts.
    pub(crate) fn pipe(chunks: mpsc::Sender<String>) -> Self {
        Self { to: To::Pipe(chunks), chunk: String::new() }
    }

    /// Adds a line and its end.
    pub(crate) async fn line(&mut self, line: &str) -> Result<(), TransferError> {
        self.chunk.push_str(line);
        self.chunk.push('\n');
        if self.chunk.len() >= CHUNK_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Ends it. A file is given back; it is written, and not yet on the disk.
    pub(crate) async fn finish(mut self) -> Result<Option<File>, TransferError> {
        self.flush().await?;
        match self.to {
            To::File(encoder) => {
                let mut buffered = encoder.finish().map_err(TransferError::Write)?;
                buffered.flush().map_err(TransferError::Write)?;
                let file = buffered.into_inner().map_err(|error| TransferError::Write(error.into_error()))?;
                Ok(Some(file))
            }
            To::Pipe(_) => Ok(None),
        }
    }

    async fn flush(&mut self) -> Result<(), TransferError> {
        let chunk = std::mem::take(&mut self.chunk);
        match &mut self.to {
            To::File(encoder) => encoder.write_all(chunk.as_bytes()).map_err(TransferError::Write),
            To::Pipe(chunks) => {
                let gone = |_| TransferError::Write(std::io::ErrorKind::BrokenPipe.into());
                chunks.send(chunk).await.map_err(gone)
            }
        }
    }
}
