//! Passes replicas' output on to the leader that asks for it.
//!
//! Invariant: every request that is not cancelled gets exactly one chunk that says `end`. Bounded: so many at once, and
//! a reader waits while the stream is busy.

use std::collections::HashMap;

use bytes::Bytes;
use fogline_api::protocol::{AgentMessage, FromAgent, LogChunkData, LogQuestion};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::StreamExt;

use crate::driver::Drivers;

/// So many logs are read at once.
const AT_ONCE: usize = 64;
/// The largest piece that is sent.
const PIECE_BYTES: usize = 64 * 1_024;

/// The logs that are being read.
#[derive(Debug, Default)]
pub(super) struct Relay {
    readers: HashMap<u64, AbortHandle>,
}

impl Relay {
    /// Begins to answer.
    pub fn open(&mut self, driver: &Drivers, question: LogQuestion, outbound: mpsc::Sender<AgentMessage>) {
        self.readers.retain(|_, reader| !reader.is_finished());
        self.cancel(question.request);
        let request = question.request;
        let reader = if self.readers.len() >= AT_ONCE {
            tokio::spawn(async move {
                let why = format!("{AT_ONCE} logs are being read from this agent already: end one of them first");
                say(&outbound, LogChunkData { request, data: Bytes::new(), end: true, error: Some(why) }).await;
            })
        } else {
            let driver = driver.clone();
            tokio::spawn(async move {
                let error = read(&driver, &question, &outbound).await.err();
                say(&outbound, LogChunkData { request, data: Bytes::new(), end: true, error }).await;
            })
        };
        self.readers.insert(request, reader.abort_handle());
    }

    /// Nobody wants to read on.
    pub fn cancel(&mut self, request: u64) {
        if let Some(reader) = self.readers.remove(&request) {
            reader.abort();
        }
    }

    /// Whoever asked is gone.
    pub fn cancel_all(&mut self) {
        for (_, reader) in self.readers.drain() {
            reader.abort();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cancel_all();
    }
}

async fn read(driver: &Drivers, question: &LogQuestion, outbound: &mpsc::Sender<AgentMessage>) -> Result<(), String> {
    let mut pieces = driver
        .logs(question.replica_id, question.tail_lines, question.follow)
        .await
        .map_err(|error| error.to_string())?;
    while let Some(piece) = pieces.next().await {
        let mut piece = piece.map_err(|error| error.to_string())?;
        while !piece.is_empty() {
            let data = piece.split_to(piece.len().min(PIECE_BYTES));
            let chunk = LogChunkData { request: question.request, data, end: false, error: None };
            if !say(outbound, chunk).await {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Whether the stream is still there.
async fn say(outbound: &mpsc::Sender<AgentMessage>, chunk: LogChunkData) -> bool {
    outbound.send((&FromAgent::LogChunk(chunk)).into()).await.is_ok()
}
