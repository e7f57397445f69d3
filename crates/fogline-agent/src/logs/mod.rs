//! The output of replicas: `logs/current`, and `1`, `2`, … which were current before, the lower the newer.
//!
//! The shim writes ([`LogWriter`]), the agent reads ([`open`]); they share nothing but the files. Invariants: what is
//! kept of a replica never grows past its [`LogLimits`]; a reader holds a few chunks in memory, however much there is
//! to read. Tests: in the files here, and `tests/it/driver.rs`.

mod reader;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;

use reader::{Next, Reader};
pub use writer::LogWriter;

/// How much of a replica's output is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogLimits {
    /// A file that would grow past it is put aside.
    pub file_bytes: u64,
    /// How many files there are at most, the current one among them.
    pub files: u32,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { file_bytes: 10_000_000, files: 3 }
    }
}

/// Why output cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// There is none.
    #[error("no output of replica {0} is kept on this node: it never ran here, or it ended long ago")]
    NoSuchReplica(fogline_core::id::ReplicaId),
    /// The container engine, which has it, does not give it out.
    #[error("cannot read the output of a container: {0}")]
    Engine(#[from] crate::driver::docker::EngineError),
    /// The files cannot be read.
    #[error("cannot read the output in {}: {source}", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// How long a follower waits before it looks for more. Nothing is looked for while nobody follows.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(100);

/// Chunks that are read ahead of whoever consumes the stream; the reader waits when there are as many.
const CHUNKS_AHEAD: usize = 4;

/// Streams the last `tail_lines` lines in `dir`, and with `follow` what comes, until `dir` is gone.
///
/// # Errors
/// When the files are there and cannot be read.
pub async fn open(
    dir: PathBuf,
    tail_lines: u32,
    follow: bool,
) -> Result<ReceiverStream<Result<Bytes, LogsError>>, LogsError> {
    let failed = {
        let dir = dir.clone();
        move |source| LogsError::Read { path: dir.clone(), source }
    };
    let mut reader = blocking(move || Reader::at_tail(&dir, tail_lines)).await.map_err(&failed)?;
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    tokio::spawn(async move {
        loop {
            let (back, next) = match blocking(move || {
                let next = reader.next();
                Ok((reader, next))
            })
            .await
            {
                Ok(read) => read,
                Err(error) => return drop(sender.send(Err(failed(error))).await),
            };
            reader = back;
            match next {
                Ok(Next::Chunk(chunk)) => {
                    if sender.send(Ok(chunk)).await.is_err() {
                        return;
                    }
                }
                Ok(Next::NothingYet) if follow => {
                    tokio::select! {
                        () = sender.closed() => return,
                        () = tokio::time::sleep(FOLLOW_INTERVAL) => {}
                    }
                }
                Ok(Next::NothingYet | Next::End) => return,
                Err(error) => return drop(sender.send(Err(failed(error))).await),
            }
        }
    });
    Ok(ReceiverStream::new(receiver))
}

/// Files block, so they are read where that is allowed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}
