//! What the demo does, step after step, and what must be true after each.

use std::path::Path;
use std::time::Duration;

use fogline_api::http::ReplicaResponse;
use rustix::process::{Signal, kill_process};

use super::checks::{expect, ids, live_replicas, pid_of, ready_replicas, runs, visit, wait_until};
use super::leftovers::processes_of;
use super::scaling;
use super::stage::Stage;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::show;

/// How long it waits for anything to become true.
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
    let three = ready_replicas(stage, "hello", 3).await?;
    visit(&three).await?;

    stage.step("Scale to five");
    stage.fogline(&["scale", "hello", "5", "--wait", "--timeout", "20s"]).await?;
    let five = ready_replicas(stage, "hello", 5).await?;
    stage.fogline(&["status", "hello"]).await?;
    visit(&five[3..]).await?;

    stage.step("Scale to two: the three oldest stop");
    stage.fogline(&["scale", "hello", "2", "--wait", "--timeout", "20s"]).await?;
    let two = ready_replicas(stage, "hello", 2).await?;
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
    let healed = wait_until("the killed replica to be replaced", PATIENCE, async || {
        let replicas = live_replicas(stage, "hello").await?;
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
    expect(live_replicas(stage, "hello").await?.len() == 2, "the refused scale-up should have changed nothing")?;

    scaling::play(stage, python).await?;

    stage.step("Everything that happened is on record");
    stage.fogline(&["history", "hello"]).await?;
    stage.fogline(&["history", "shop"]).await?;

    stage.step("Clear away");
    stage.fogline(&["delete", "hello", "giant", "shop", "--wait", "--timeout", "20s"]).await?;
    for replica in &healed {
        expect(!runs(replica)?, &format!("the process of replica {} should be gone", replica.id))?;
    }
    let replicas_dir = stage.root().join("data/agent/replicas");
    wait_until("every replica's processes to be gone", PATIENCE, async || {
        Ok(processes_of(&replicas_dir).is_empty().then_some(()))
    })
    .await
}
