//! Looks every now and then whether certificates have changed.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Tls;

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Keeps what is shown up to date until `shutdown`.
pub async fn watch(tls: Tls, shutdown: CancellationToken) {
    let look = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let tls = tls.clone();
            // Only fails when the runtime is going away.
            let _ = tokio::task::spawn_blocking(move || tls.look()).await;
        }
    };
    let _ = shutdown.run_until_cancelled(look).await;
}
