//! A replica's output: what was kept of earlier runs, then what the engine has of the last one.
//!
//! Decides where each line comes from. Must never hold more than a few pieces in memory, however much there is.
//! Invariants: a follower goes on over restarts in place, and ends when the replica is forgotten; whose container goes
//! meanwhile reads on ([`claims`]). Tests: `tests/it/driver`.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use fogline_core::id::ReplicaId;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::super::{LogStream, LogsError};
use super::claims::{self, Reading};
use super::tail::Tail;
use super::{EngineError, Inner, Slot, labels, watch};

/// Pieces that are read ahead of whoever consumes the stream.
const PIECES_AHEAD: usize = 4;

type Sender = mpsc::Sender<Result<Bytes, LogsError>>;

/// The replica's last container, in hand.
struct Last {
    run: u32,
    id: String,
    tail: Tail,
    _reading: Reading,
}

pub(super) async fn open(
    inner: &Arc<Inner>,
    replica_id: ReplicaId,
    tail_lines: u32,
    follow: bool,
) -> Result<LogStream, LogsError> {
    if inner.kept(replica_id).is_none() {
        return Err(LogsError::NoSuchReplica(replica_id));
    }
    let last = last(inner, replica_id, tail_lines).await?;
    let here = last.as_ref().map_or(0, |last| last.tail.lines);
    let mut earlier = earlier(inner, replica_id, tail_lines.saturating_sub(here)).await?;
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
            if let Err(error) = stream(&inner, replica_id, last, follow, &sender).await {
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

/// The last lines of what is kept of earlier runs.
async fn earlier(inner: &Inner, replica_id: ReplicaId, lines: u32) -> Result<LogStream, LogsError> {
    loop {
        let kept = inner.kept(replica_id).ok_or(LogsError::NoSuchReplica(replica_id))?;
        let opened = crate::logs::open(kept.logs(), lines, false).await?;
        // Where it was forgotten before it was open, it is elsewhere by now.
        if kept.exists() {
            return Ok(opened);
        }
    }
}

/// The last container's output, and with `follow` that of the ones after it.
async fn stream(
    weak: &Weak<Inner>,
    replica_id: ReplicaId,
    mut last: Option<Last>,
    follow: bool,
    sender: &Sender,
) -> Result<(), EngineError> {
    let mut shown = 0;
    loop {
        let Some(inner) = weak.upgrade() else { return Ok(()) };
        let mut changed = inner.changed.subscribe();
        if let Some(mut now) = last.take() {
            shown = now.run;
            let mut output = now.tail.open(&inner, &now.id, follow).await?;
            drop(inner);
            while let Some(piece) = output.next().await.transpose()? {
                let piece = now.tail.cut(piece);
                if !piece.is_empty() && sender.send(Ok(piece)).await.is_err() {
                    return Ok(());
                }
            }
        }
        if !follow {
            return Ok(());
        }
        loop {
            let Some(inner) = weak.upgrade() else { return Ok(()) };
            if !inner.record(replica_id).exists() {
                return Ok(());
            }
            if let Some(Slot::Running { run, container: id }) = inner.slot(replica_id)
                && run > shown
            {
                // What comes later is shown from its beginning.
                last = Some(Last { run, _reading: claims::read(&inner, &id).await, id, tail: Tail::whole() });
                break;
            }
            drop(inner);
            if changed.changed().await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Takes the replica's last container in hand, unless its output is kept already.
async fn last(inner: &Arc<Inner>, replica_id: ReplicaId, tail_lines: u32) -> Result<Option<Last>, EngineError> {
    let mut gone = None;
    loop {
        let Some((run, id)) = last_container(inner, replica_id).await? else { return Ok(None) };
        let reading = claims::read(inner, &id).await;
        // While it was looked for, and waited for, it may have been kept and removed.
        if inner.is_archived(replica_id, run) {
            continue;
        }
        match Tail::of(inner, &id, tail_lines).await {
            Err(error) if error.is_missing() && gone.as_ref() != Some(&id) => gone = Some(id),
            tail => return Ok(Some(Last { run, id, tail: tail?, _reading: reading })),
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
