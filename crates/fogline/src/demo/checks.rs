//! What the demo looks at, and what it insists on.

use std::collections::BTreeSet;
use std::time::Duration;

use fogline_api::http::ReplicaResponse;
use rustix::process::Pid;
use tokio::time::{Instant, sleep};

use super::stage::Stage;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::show;

/// The replicas of a deployment that are not gone.
pub async fn live_replicas(stage: &Stage, deployment: &str) -> Outcome<Vec<ReplicaResponse>> {
    let session = stage.session()?;
    let id = session.find(deployment).await?;
    Ok(session.client().await?.replicas(id, false).await?)
}

/// The same, where there must be so many, all of them ready.
pub async fn ready_replicas(stage: &Stage, deployment: &str, count: usize) -> Outcome<Vec<ReplicaResponse>> {
    let replicas = live_replicas(stage, deployment).await?;
    let ready = replicas.iter().filter(|replica| replica.ready).count();
    expect(
        replicas.len() == count && ready == count,
        &format!("{count} replicas should be ready, and {ready} of {} are", replicas.len()),
    )?;
    let endpoints: BTreeSet<_> = replicas.iter().map(|replica| replica.endpoint.as_deref()).collect();
    expect(endpoints.len() == count, "each replica should have an endpoint of its own")?;
    Ok(replicas)
}

/// Plain HTTP to this machine: no proxy and no certificates.
pub fn http_client() -> Outcome<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .timeout(Duration::from_secs(5))
        .build()
        .map_err(|error| Failure::general("cannot set up an HTTP client").because(error))
}

/// Asks each replica at its endpoint, as curl does.
pub async fn visit(replicas: &[ReplicaResponse]) -> Outcome {
    let http = http_client()?;
    for replica in replicas {
        let endpoint = replica.endpoint.as_deref().unwrap_or_default();
        let url = format!("http://{endpoint}/");
        show!("$ curl {url}");
        let failed = |error: reqwest::Error| Failure::general(format!("{url} does not answer")).because(error);
        let answer = http.get(&url).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        let body = answer.text().await.map_err(failed)?;
        show!("{}", crate::output::clean(body.trim()));
        let node = replica.node.as_deref().unwrap_or("nowhere");
        expect(body.contains(&format!("hello from {node}")), &format!("{url} should answer from {node}"))?;
    }
    Ok(())
}

/// Their ids, in their order.
pub fn ids(replicas: &[ReplicaResponse]) -> Vec<String> {
    replicas.iter().map(|replica| replica.id.to_string()).collect()
}

/// The process of a replica.
pub fn pid_of(replica: &ReplicaResponse) -> Outcome<Pid> {
    let pid = replica.container_id.as_deref().and_then(|id| id.parse().ok()).and_then(Pid::from_raw);
    pid.ok_or_else(|| Failure::general(format!("replica {} names no process", replica.id)))
}

/// Whether that process is there.
pub fn runs(replica: &ReplicaResponse) -> Outcome<bool> {
    Ok(rustix::process::test_kill_process(pid_of(replica)?).is_ok())
}

/// Ends the demo where something does not hold.
pub fn expect(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(Failure::general(format!("the demo failed: {what}"))) }
}

/// Waits until `look` finds something, for at most `patience`.
pub async fn wait_until<T>(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Outcome<Option<T>>,
) -> Outcome<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(Exit::TimedOut, format!("the demo failed: waited {patience:?} for {what}")));
        }
        sleep(Duration::from_millis(50)).await;
    }
}
