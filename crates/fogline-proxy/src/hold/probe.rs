//! The proxy's own look at a replica that starts while requests wait for it, so that they need not wait for agent and
//! server to say what the replica can say itself.
//!
//! Must ask exactly what the agent asks, no less. Tests: `tests/it/front/holding.rs`.

use std::sync::Arc;
use std::time::Duration;

use fogline_api::readiness;
use fogline_core::spec::{HealthCheck, HealthSpec};

use crate::service::{Service, Upstream};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Asks until the answer is good, or nobody waits any more, or the replica is no longer one that starts.
pub(super) async fn until_ready(service: Arc<Service>, upstream: Arc<Upstream>, check: HealthSpec) {
    let patience = Duration::from_secs(check.timeout_s.into());
    let mut pause = FIRST_PAUSE;
    loop {
        let path = (check.check == HealthCheck::Http).then_some(check.path.as_str());
        let asked = tokio::time::timeout(patience, readiness::ask(&upstream.endpoint, path, "fogline-proxy")).await;
        if matches!(asked, Ok(Ok(()))) {
            service.believe(&upstream);
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        let starts = service.view().starting.iter().any(|other| other.key == upstream.key);
        if !starts || service.line.waiting() == 0 {
            return;
        }
    }
}
