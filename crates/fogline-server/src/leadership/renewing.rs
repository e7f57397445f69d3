//! Something long, without the lease lapsing meanwhile.

use std::pin::pin;
use std::time::Duration;

use fogline_core::cluster::Changes;
use fogline_store::{CommitError, Lease, Store};

use super::Mandate;
use crate::writer::Stopped;

/// Pause after a renewal that failed.
const RETRY: Duration = Duration::from_millis(200);

/// Waits for `long` and renews whenever that is due; `revision` follows.
///
/// # Errors
/// When somebody else leads, or the mandate ends first.
pub(crate) async fn renewing<T>(
    store: &Store,
    lease: &Lease,
    mandate: &Mandate,
    revision: &mut u64,
    long: impl Future<Output = T>,
) -> Result<T, Stopped> {
    let mut long = pin!(long);
    loop {
        tokio::select! {
            biased;
            () = mandate.over() => return Err(Stopped::LeaseOver),
            done = &mut long => return Ok(done),
            renewed = renew(store, lease, mandate) => *revision = renewed?,
        }
    }
}

/// Waits until it is due, and renews.
async fn renew(store: &Store, lease: &Lease, mandate: &Mandate) -> Result<u64, Stopped> {
    loop {
        match mandate.renewal_in() {
            Some(due) => tokio::time::sleep(due).await,
            None => std::future::pending().await,
        }
        let sent = mandate.now();
        match store.commit(lease, &Changes::default()).await {
            Ok(revision) => {
                mandate.renewed(sent);
                return Ok(revision);
            }
            Err(CommitError::Fenced) => return Err(Stopped::NotLeader),
            Err(error) => {
                tracing::debug!(%error, "the lease could not be renewed; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
