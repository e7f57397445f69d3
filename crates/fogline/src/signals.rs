//! The signals that ask a long-running command to stop.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::{Failure, Outcome};

/// A token that is cancelled by the first SIGINT, SIGTERM or SIGHUP (a closed terminal). A second one ends the program at
/// once, after `last_words`, which say what is left and how that is ended.
///
/// # Errors
/// When the system does not let it listen.
pub fn stop_token(last_words: impl Fn() + Send + Sync + 'static) -> Outcome<CancellationToken> {
    let token = CancellationToken::new();
    let last_words = Arc::new(last_words);
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut arriving =
            signal(kind).map_err(|error| Failure::general("cannot listen for signals").because(error))?;
        let (token, last_words) = (token.clone(), Arc::clone(&last_words));
        tokio::spawn(async move {
            while arriving.recv().await.is_some() {
                if token.is_cancelled() {
                    last_words();
                    std::process::exit(128 + kind.as_raw_value());
                }
                token.cancel();
            }
        });
    }
    Ok(token)
}
