//! What the demo does, step after step, and what must be true after each.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use fogline_api::http::ReplicaResponse;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use super::leftovers::processes_of;
use super::stage::Stage;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::show;

/// How long the demo waits for anything to become true.
const PATIENCE: Duration = Duration::from_secs(20);

/// Plays it.
pub async fn play(stage: &mut Stage, python: &Path) -> Outcome {
    show!("Fogline's demo, in {}.", stage.root().display());
    show!(
        "The service is a real program, `python3 -m http.server` ({}), run as processes of this machine.",
        python.display()
    );

    stage.step("One server with SQLite in a fresh directory, and three nodes in two regions");
    let sizes = ["--node-cpu", "4", "--node-memory-mb", "8192", "--node-storage-gb", "100"];
    stage.start_server(&[&["--nodes", "3", "--region", "eu-west,us-east"], &sizes[..]].concat()).await?;
    stage.fogline(&["login"]).await?;
    stage.fogline(&["node", "list"]).await?;

    stage.step("Deploy three replicas; each is placed by score, started, and asked whether it answers");
    let service = format!(
        "echo \"hello from $FOGLINE_NODE, port $PORT\" > index.html; exec {} -m http.server --bind 127.0.0.1 $PORT",
        python.display()
    );
    let health = ["--port", "8080", "--health", "http"];
    let deploy = [
        &["deploy", "hello", "--replicas", "3"],
        &health[..],
        &["--wait", "--timeout", "20s", "--", "sh", "-c", &service],
    ]
    .concat();
    stage.fogline(&deploy).await?;
    stage.fogline(&["replicas", "hello"]).await?;
    let three = ready_replicas(stage, 3).await?;
    visit(&three).await?;

    stage.step("Scale to five");
    stage.fogline(&["scale", "hello", "5", "--wait", "--timeout", "20s"]).await?;
    let five = ready_replicas(stage, 5).await?;
    stage.fogline(&["status", "hello"]).await?;
    visit(&five[3..]).await?;

    stage.step("Scale to two: the three oldest stop");
    stage.fogline(&["scale", "hello", "2", "--wait", "--timeout", "20s"]).await?;
    let two = ready_replicas(stage, 2).await?;
    stage.fogline(&["replicas", "hello"]).await?;
    expect(ids(&two) == ids(&five[3..]), "the two newest replicas should be left")?;
    for gone in &five[..3] {
        expect(!runs(gone)?, &format!("the process of replica {} should be gone", gone.id))?;
    }
    visit(&two).await?;

    stage.step("Kill a replica's process by hand; it is healed");
    let victim = pid_of(&two[0])?;
    show!("$ kill -9 {victim}");
    kill_process(victim, Signal::KILL).map_err(|errno| Failure::general("cannot kill the process").because(errno))?;
    let healed = wait_until("the killed replica to be replaced", async || {
        let replicas = live_replicas(stage).await?;
        let other = |one: &ReplicaResponse| one.ready && pid_of(one).is_ok_and(|pid| pid != victim);
        Ok((replicas.len() == 2 && replicas.iter().all(other)).then_some(replicas))
    })
    .await?;
    stage.fogline(&["replicas", "hello"]).await?;
    visit(&healed).await?;

    stage.step("What does not fit is refused, with the reason, and nothing is started");
    let giant = ["deploy", "giant", "--replicas", "4", "--cpu", "3", "--memory", "6000", "--wait", "--", "sleep", "60"];
    stage.fogline_fails(Exit::Insufficient, &giant).await?;
    stage.fogline(&["explain", "giant"]).await?;
    stage.fogline_fails(Exit::Insufficient, &["scale", "hello", "100"]).await?;
    expect(live_replicas(stage).await?.len() == 2, "the refused scale-up should have changed nothing")?;

    stage.step("Everything that happened is on record");
    stage.fogline(&["history", "hello"]).await?;

    stage.step("Clear away");
    stage.fogline(&["delete", "hello", "giant", "--wait", "--timeout", "20s"]).await?;
    for replica in &healed {
        expect(!runs(replica)?, &format!("the process of replica {} should be gone", replica.id))?;
    }
    let replicas_dir = stage.root().join("data/agent/replicas");
    wait_until("every replica's processes to be gone", async || {
        Ok(processes_of(&replicas_dir).is_empty().then_some(()))
    })
    .await
}

async fn live_replicas(stage: &Stage) -> Outcome<Vec<ReplicaResponse>> {
    let session = stage.session()?;
    let id = session.find("hello").await?;
    Ok(session.client().await?.replicas(id, false).await?)
}

async fn ready_replicas(stage: &Stage, count: usize) -> Outcome<Vec<ReplicaResponse>> {
    let replicas = live_replicas(stage).await?;
    let ready = replicas.iter().filter(|replica| replica.ready).count();
    expect(
        replicas.len() == count && ready == count,
        &format!("{count} replicas should be ready, and {ready} of {} are", replicas.len()),
    )?;
    let endpoints: BTreeSet<_> = replicas.iter().map(|replica| replica.endpoint.as_deref()).collect();
    expect(endpoints.len() == count, "each replica should have an endpoint of its own")?;
    Ok(replicas)
}

/// Asks each replica at its endpoint, as curl does.
async fn visit(replicas: &[ReplicaResponse]) -> Outcome {
    // Plain HTTP to this machine: no proxy and no certificates.
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .timeout(Duration::from_secs(5))
        .build()
        .map_err(|error| Failure::general("cannot set up an HTTP client").because(error))?;
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

fn ids(replicas: &[ReplicaResponse]) -> Vec<String> {
    replicas.iter().map(|replica| replica.id.to_string()).collect()
}

fn pid_of(replica: &ReplicaResponse) -> Outcome<Pid> {
    let pid = replica.container_id.as_deref().and_then(|id| id.parse().ok()).and_then(Pid::from_raw);
    pid.ok_or_else(|| Failure::general(format!("replica {} names no process", replica.id)))
}

fn runs(replica: &ReplicaResponse) -> Outcome<bool> {
    Ok(rustix::process::test_kill_process(pid_of(replica)?).is_ok())
}

fn expect(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(Failure::general(format!("the demo failed: {what}"))) }
}

async fn wait_until<T>(what: &str, mut look: impl AsyncFnMut() -> Outcome<Option<T>>) -> Outcome<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(Exit::TimedOut, format!("the demo failed: waited {PATIENCE:?} for {what}")));
        }
        sleep(Duration::from_millis(50)).await;
    }
}
