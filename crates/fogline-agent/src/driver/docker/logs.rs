//! A replica's output: what was kept of earlier runs, then what the engine has of the last one.
//!
//! Decides where each line comes from. Must never hold more than a few pieces in memory, however much there is.
//! Invariant: a follower goes on over restarts in place, and ends when the replica is forgotten. Tests:
//! `tests/it/driver`.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use bollard::query_parameters::LogsOptions;
use bytes::Bytes;
use fogline_core::id::ReplicaId;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::super::{LogStream, LogsError};
use super::{EngineError, Inner, Slot, blocking, labels, watch};
use crate::logs::LogWriter;

/// Pieces that are read ahead of whoever consumes the stream.
const PIECES_AHEAD: usize = 4;
/// How much is put on disk at once.
const KEEP_AT_ONCE: usize = 256 * 1_024;

type Sender = mpsc::Sender<Result<Bytes, LogsError>>;

pub(super) async fn open(
    inner: &Arc<Inner>,
    replica_id: ReplicaId,
    tail_lines: u32,
    follow: bool,
) -> Result<LogStream, LogsError> {
    let live = inner.record(replica_id);
    let kept = if live.exists() { live } else { inner.ended(replica_id) };
    if !kept.exists() {
        return Err(LogsError::NoSuchReplica(replica_id));
    }
    let last = last_container(inner, replica_id).await?;
    let here = match &last {
        Some((_, id)) => lines(inner, id, tail_lines).await?,
        None => 0,
    };
    let mut earlier = crate::logs::open(kept.logs(), tail_lines.saturating_sub(here), false).await?;
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    let stop = inner.stop.clone();
    let inner = Arc::downgrade(inner);
    tokio::spawn(async move {
        let read = async {
            while let Some(piece) = earlier.next().await {
                if sender.send(piece).await.is_err() {
                    return;
                }
            }
            if let Err(error) = stream(&inner, replica_id, last, tail_lines, follow, &sender).await {
                drop(sender.send(Err(error.into())).await);
            }
        };
        tokio::select! {
            () = sender.closed() => {}
            () = stop.cancelled() => {}
            () = read => {}
        }
    });
    Ok(ReceiverStream::new(receiver))
}

/// The last container's output, and with `follow` that of the ones after it.
async fn stream(
    weak: &Weak<Inner>,
    replica_id: ReplicaId,
    mut last: Option<(u32, String)>,
    tail_lines: u32,
    follow: bool,
    sender: &Sender,
) -> Result<(), EngineError> {
    let mut tail = tail_lines.to_string();
    let mut shown = 0;
    loop {
        let Some(inner) = weak.upgrade() else { return Ok(()) };
        let mut changed = inner.changed.subscribe();
        if let Some((run, id)) = last.take() {
            shown = run;
            let options = LogsOptions { follow, stdout: true, stderr: true, tail, ..LogsOptions::default() };
            let mut output = inner.engine.client().await?.logs(&id, Some(options));
            drop(inner);
            while let Some(piece) = output.next().await {
                let piece = piece.map_err(|error| EngineError::of("reading the container's output", &error))?;
                if sender.send(Ok(piece.into_bytes())).await.is_err() {
                    return Ok(());
                }
            }
        }
        if !follow {
            return Ok(());
        }
        // What comes later is shown from its beginning.
        tail = "all".to_owned();
        loop {
            let Some(inner) = weak.upgrade() else { return Ok(()) };
            if !inner.record(replica_id).exists() {
                return Ok(());
            }
            if let Some(Slot::Running { run, container }) = inner.slot(replica_id)
                && run > shown
            {
                last = Some((run, container));
                break;
            }
            drop(inner);
            if changed.changed().await.is_err() {
                return Ok(());
            }
        }
    }
}

/// The replica's last container, running or not.
async fn last_container(inner: &Inner, replica_id: ReplicaId) -> Result<Option<(u32, String)>, EngineError> {
    if let Some(Slot::Running { run, container }) = inner.slot(replica_id) {
        return Ok(Some((run, container)));
    }
    let listed = watch::list(inner).await?;
    let of_replica = listed.into_iter().filter_map(|one| {
        let (id, run) = labels::run_of(&inner.agent_id, one.labels.as_ref()?)?;
        // What is kept already is not shown twice.
        (id == replica_id && !inner.is_archived(id, run)).then_some((run, one.id))
    });
    Ok(of_replica.max())
}

/// How many lines a container has said, at most so many.
async fn lines(inner: &Inner, id: &str, at_most: u32) -> Result<u32, EngineError> {
    if at_most == 0 {
        return Ok(0);
    }
    let options = LogsOptions { stdout: true, stderr: true, tail: at_most.to_string(), ..LogsOptions::default() };
    let mut output = inner.engine.client().await?.logs(id, Some(options));
    let mut count: usize = 0;
    let counted = async {
        while let Some(piece) = output.next().await {
            let piece = piece.map_err(|error| EngineError::of("reading the container's output", &error))?;
            let piece = piece.into_bytes();
            count += piece.iter().filter(|byte| **byte == b'\n').count().max(1);
        }
        Ok(())
    };
    inner.engine.within("reading the container's output", counted).await?;
    Ok(u32::try_from(count).unwrap_or(at_most).min(at_most))
}

/// Keeps a container's output on disk, before it is removed.
pub(super) async fn archive(inner: &Inner, id: &str, dir: PathBuf) -> Result<(), EngineError> {
    let options = LogsOptions { stdout: true, stderr: true, tail: "all".to_owned(), ..LogsOptions::default() };
    let mut output = inner.engine.client().await?.logs(id, Some(options));
    let mut writer = LogWriter::new(dir, inner.config.logs);
    let mut pending = Vec::new();
    let kept = async {
        loop {
            let piece = output.next().await;
            let is_over = piece.is_none();
            if let Some(piece) = piece {
                match piece {
                    Ok(piece) => pending.extend_from_slice(&piece.into_bytes()),
                    Err(error) => {
                        let error = EngineError::of("reading the container's output", &error);
                        // One that is gone has no output any more, and some engines have none of one that never ran.
                        if error.is_missing() {
                            return Ok(());
                        }
                        return Err(error);
                    }
                }
            }
            if pending.len() >= KEEP_AT_ONCE || is_over {
                let data = std::mem::take(&mut pending);
                let written = blocking(move || {
                    writer.write(&data);
                    writer
                });
                match written.await {
                    Ok(back) => writer = back,
                    // The runtime is going away.
                    Err(_) => return Ok(()),
                }
            }
            if is_over {
                return Ok(());
            }
        }
    };
    inner.engine.within("keeping the container's output", kept).await
}
