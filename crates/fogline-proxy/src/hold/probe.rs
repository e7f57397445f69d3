//! The proxy's own look at a replica that starts while requests wait for it, so that they need not wait for agent and
//! server to say what the replica can say itself.
//!
//! Must ask exactly what the deployment's readiness check asks, no less. Tests: `tests/it/front/holding.rs`.

use std::sync::Arc;
use std::time::Duration;

use fogline_core::spec::{HealthCheck, HealthSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::service::{Service, Upstream};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// `HTTP/1.1 200`: all that is read of an answer.
const STATUS_BYTES: usize = 12;

/// Asks until the answer is good, or nobody waits any more, or the replica is no longer one that starts.
pub(super) async fn until_ready(service: Arc<Service>, upstream: Arc<Upstream>, readiness: HealthSpec) {
    let patience = Duration::from_secs(readiness.timeout_s.into());
    let mut pause = FIRST_PAUSE;
    loop {
        let passed = tokio::time::timeout(patience, passes(&upstream.endpoint, &readiness)).await;
        if matches!(passed, Ok(Some(()))) {
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

async fn passes(endpoint: &str, readiness: &HealthSpec) -> Option<()> {
    let mut stream = TcpStream::connect(endpoint).await.ok()?;
    if readiness.check != HealthCheck::Http {
        return Some(());
    }
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: {endpoint}\r\nUser-Agent: fogline-proxy\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        readiness.path
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut answer = [0; STATUS_BYTES];
    stream.read_exact(&mut answer).await.ok()?;
    let status = answer.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5))?;
    let status: u16 = std::str::from_utf8(status).ok()?.parse().ok()?;
    (200..400).contains(&status).then_some(())
}
