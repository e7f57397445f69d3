//! Keeps a container's output with that of the runs before, so that the container can go.
//!
//! Must never write into a directory that is just being moved away: a replica may be forgotten in the middle. Tests:
//! `tests/it/driver`.

use std::path::PathBuf;
use std::sync::Arc;

use fogline_core::id::ReplicaId;
use tokio_stream::StreamExt;

use super::tail::Tail;
use super::{EngineError, Inner, blocking};
use crate::logs::LogWriter;

/// How much is put on disk at once.
const KEEP_AT_ONCE: usize = 256 * 1_024;

/// All that it has said. Nothing where it is gone.
pub(super) async fn archive(inner: &Arc<Inner>, replica_id: ReplicaId, id: &str) -> Result<(), EngineError> {
    let mut output = Tail::whole().open(inner, id, false).await?;
    let mut writer = None;
    let mut pending = Vec::new();
    let kept = async {
        loop {
            let piece = match output.next().await.transpose() {
                // Some engines have no output of one that never ran, either.
                Err(error) if error.is_missing() => return Ok(()),
                piece => piece?,
            };
            let is_over = piece.is_none();
            pending.extend(piece.into_iter().flatten());
            if pending.len() >= KEEP_AT_ONCE || is_over {
                let (inner, data) = (Arc::clone(inner), std::mem::take(&mut pending));
                match blocking(move || write(&inner, replica_id, writer, &data)).await {
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

/// Where the output is kept now.
type Kept = Option<(PathBuf, LogWriter)>;

fn write(inner: &Inner, replica_id: ReplicaId, writer: Kept, data: &[u8]) -> Kept {
    let _alone = inner.records();
    let dir = inner.kept(replica_id)?.logs();
    let mut writer = match writer {
        Some((same, writer)) if same == dir => writer,
        _ => LogWriter::new(dir.clone(), inner.config.logs),
    };
    writer.write(data);
    Some((dir, writer))
}
